/* SPDX-License-Identifier: BSD-2-Clause */
/* Can a library be loaded into this program? */
#ifndef NMRUN_PROGRAM_H
#define NMRUN_PROGRAM_H

#include <stddef.h>

/**
 * nmrun_program_find() - the file that execvp(3) would run for @name
 *
 * Return: 0, -ENOENT nothing of that name, -EACCES not executable, -ENAMETOOLONG.
 */
int nmrun_program_find(const char *name, char *path, size_t size);

/**
 * nmrun_program_obstacle() - why the dynamic linker would not load a library into the program in
 * @path
 * @library: the library, whose machine and word size the program must have
 *
 * A script stands for its interpreter. Return: a sentence for the user, or NULL if there is no
 * obstacle (as far as one can tell from outside).
 */
const char *nmrun_program_obstacle(const char *path, const char *library);

#endif
