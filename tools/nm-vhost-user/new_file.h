/* SPDX-License-Identifier: BSD-2-Clause */
/* A file that this start has made: a start that fails removes it again. */
#ifndef VH_NEW_FILE_H_
#define VH_NEW_FILE_H_

#include <sys/types.h>

/* All zero: there is none. */
struct vh_new_file {
	dev_t dev;
	ino_t ino;
};

/* @path has been made just now. That of a descriptor is noted by vh_new_file_note_fd(). */
void vh_new_file_note(struct vh_new_file *f, const char *path);
void vh_new_file_note_fd(struct vh_new_file *f, int fd);

/* Remove @path if it is @f, and not what somebody else has put in its place. */
void vh_new_file_remove(const struct vh_new_file *f, const char *path);

#endif /* VH_NEW_FILE_H_ */
