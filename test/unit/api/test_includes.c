/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_includes.c - proves that the headers bring the system headers that programs rely on.
 *
 * Built by headers.sh, with and without NETMAP_WITH_LIBS, and not run. Includes nothing itself.
 * ISO C hides some names of these headers when no extension is asked for; those used here are
 * always there.
 */
#include <net/netmap_user.h>

extern int abi_uses(struct netmap_ring *ring);

int
abi_uses(struct netmap_ring *ring)
{
	uint64_t wide = UINT16_MAX;				 /* stdint.h */
	int family = AF_UNIX;					 /* sys/socket.h */
	char name[IFNAMSIZ] = "";				 /* net/if.h */
	unsigned int idx = if_nametoindex(name);		 /* net/if.h */
	int c = isdigit('1') + (int)strlen(name);		 /* ctype.h, string.h */
	struct timeval now = {0, 0};				 /* sys/time.h */
	ssize_t sum = (ssize_t)wide + family + (ssize_t)idx + c; /* sys/types.h */

	gettimeofday(&now, NULL);
	ND("nothing %d", 1);
#ifdef NETMAP_WITH_LIBS
	{
		void *p = malloc(1);			      /* stdlib.h */
		void *q = mmap(NULL, 1, PROT_READ, 0, -1, 0); /* sys/mman.h */
		int fd = open("", O_RDWR);		      /* fcntl.h */

		sum += ioctl(fd, NIOCTXSYNC) + errno + EINVAL; /* sys/ioctl.h, errno.h */
		sum += close(fd) + (p != NULL) + (q != NULL);  /* unistd.h */
		sum += raise(SIGINT);			       /* signal.h */
		free(p);
		fprintf(stderr, "x"); /* stdio.h */
		D("no argument");
		D("one %d", fd);
		RD(1, "no argument");
		RD(1, "%d and %s", 1, name);
	}
#endif
	return (int)sum + nm_ring_empty(ring);
}
