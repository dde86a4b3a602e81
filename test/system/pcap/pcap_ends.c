/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where libpcap's calls meet an end. Linked with the system's libpcap, run with ours.
 *
 *   pcap_ends late PORT      read a frame, wait for a line on standard input, read all that is left
 *   pcap_ends full TX RX     send until there is no room, read all, send again
 *   pcap_ends refused PORT   dispatch ten times with a limit of 100 ms and a filter that no frame
 *                            passes, and say how long it took, in ms
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT_MS 100
#define TURNS	 10

static char errbuf[PCAP_ERRBUF_SIZE];

static pcap_t *
must_open(const char *name)
{
	pcap_t *p = pcap_open_live(name, 65535, 1, LIMIT_MS, errbuf);

	if (p != NULL)
		return p;
	puts(errbuf);
	exit(1);
}

static int
read_all(pcap_t *p, int *last)
{
	struct pcap_pkthdr *hdr;
	const u_char *data;
	int n = 0;

	while ((*last = pcap_next_ex(p, &hdr, &data)) == 1)
		n++;
	return n;
}

static void
late(const char *port)
{
	pcap_t *p = must_open(port);
	struct pcap_pkthdr *hdr;
	struct pcap_stat st;
	const u_char *data;
	int n, last;

	puts("open");
	while (pcap_next_ex(p, &hdr, &data) == 0)
		continue;
	puts("first");
	(void)getchar();
	n = 1 + read_all(p, &last);
	pcap_stats(p, &st);
	printf("read %d, dropped %u, then %d: %s\n", n, st.ps_drop, last, pcap_geterr(p));
}

static int
send_all(pcap_t *p)
{
	static const u_char frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
	int n = 0;

	while (pcap_inject(p, frame, sizeof(frame)) == (int)sizeof(frame))
		n++;
	if (errno != EAGAIN)
		printf("errno %d\n", errno);
	return n;
}

static void
full(const char *to, const char *from)
{
	pcap_t *tx = must_open(to), *rx = must_open(from);
	int sent, last;

	pcap_setnonblock(tx, 1, errbuf);
	pcap_setnonblock(rx, 1, errbuf);
	sent = send_all(tx);
	printf("all read: %d\n", read_all(rx, &last) == sent && sent > 0);
	printf("as many again: %d\n", send_all(tx) == sent);
}

static void
ignore(u_char *user, const struct pcap_pkthdr *hdr, const u_char *data)
{
	(void)user;
	(void)hdr;
	(void)data;
}

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void
refused(const char *port)
{
	pcap_t *p = must_open(port);
	struct bpf_program prog;
	long begin;
	int i;

	if (pcap_compile(p, &prog, "vlan 99", 1, 0) < 0 || pcap_setfilter(p, &prog) < 0) {
		puts(pcap_geterr(p));
		exit(1);
	}
	begin = now_ms();
	for (i = 0; i < TURNS; i++) {
		if (pcap_dispatch(p, -1, ignore, NULL) != 0)
			puts("not 0");
	}
	printf("%ld\n", now_ms() - begin);
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "late") == 0)
		late(argv[2]);
	else if (argc == 4 && strcmp(argv[1], "full") == 0)
		full(argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "refused") == 0)
		refused(argv[2]);
	else
		return 2;
	return 0;
}
