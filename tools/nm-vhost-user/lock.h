/* SPDX-License-Identifier: BSD-2-Clause */
/* A lock that another server may hold for a moment. */
#ifndef VH_LOCK_H_
#define VH_LOCK_H_

/*
 * Lock the open file for ourselves (flock(2)), until @fd is closed; waits for it up to a second.
 * Return: 0; -EBUSY it is somebody else's; another negative errno: it can't be locked.
 */
int vh_lock(int fd);

#endif /* VH_LOCK_H_ */
