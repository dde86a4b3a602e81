/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_includes.c - proves that the headers bring the system headers that programs rely on, and
 * that a program with nothing but the headers can call all that they offer, as old programs do.
 *
 * Built by headers.sh, with and without NETMAP_WITH_LIBS, and not run. Includes nothing itself.
 * ISO C hides some names of these headers when no extension is asked for; those used here are
 * always there.
 */
#include <net/netmap_user.h>

extern int abi_uses(struct netmap_ring *ring);

#ifdef NETMAP_WITH_LIBS
extern int helper_uses(const char *name);

/* For nm_dispatch(), with the types that its documentation gives. */
static void
count(unsigned char *arg, const struct nm_pkthdr *hdr, const unsigned char *buf)
{
	*arg = (unsigned char)(*arg + (hdr->len > 14 ? buf[0] : 0));
}

/* A port's life in a program that only includes the header: all are calls, so all are compiled. */
int
helper_uses(const char *name)
{
	struct nm_pkthdr hdr;
	struct netmap_ring *tx, *rx;
	struct nm_desc *d, *second;
	/* Some of its fields are const, so that it can't be assigned. */
	struct nm_desc *copy = (struct nm_desc *)calloc(1, sizeof(*copy));
	struct nmreq req;
	unsigned char sum = 0;
	const unsigned char *buf;
	char text[64] = "";

	memset(&req, 0, sizeof(req));
	req.nr_tx_slots = 64;
	d = nm_open(name, &req, NM_OPEN_RING_CFG | NETMAP_NO_TX_POLL, NULL);
	if (d == NULL || copy == NULL)
		return -1;
	memcpy((void *)copy, d, sizeof(*copy));
	second = nm_open(name, NULL, NM_OPEN_NO_MMAP | NM_OPEN_IFNAME, copy);
	if (second != NULL && nm_mmap(second, d) == 0)
		nm_close(second);
	tx = NETMAP_TXRING(d->nifp, d->first_tx_ring);
	rx = NETMAP_RXRING(d->nifp, d->first_rx_ring);
	if (nm_ring_space(tx) > 0 && !nm_tx_pending(tx))
		nm_pkt_copy(text, NETMAP_BUF(tx, tx->slot[tx->cur].buf_idx), 64);
	tx->head = tx->cur = nm_ring_next(tx, tx->cur);
	nm_inject(d, text, sizeof(text));
	nm_dispatch(d, -1, count, &sum);
	buf = nm_nextpkt(d, &hdr);
	if (buf != NULL)
		sum = (unsigned char)(sum + buf[0] + hdr.caplen);
	sum = (unsigned char)(sum + nm_ring_empty(rx) + NETMAP_FD(d) + NETMAP_BUF_IDX(rx, text));
	sum = (unsigned char)(sum + nm_parse(name, copy, text));
	free(copy);
	return nm_close(d) + sum;
}
#endif

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
