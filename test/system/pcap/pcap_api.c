/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcap_api send SENDER - send one frame, and say what came of it
 * pcap_api RECEIVER SENDER [timeouts] - the corner cases of libpcap's interface, as a transcript.
 *
 * Frames go from SENDER to RECEIVER, two ends of a veth pair or two ports of a switch. The program
 * is linked with the system's libpcap; what it prints with that on a veth pair is what has to be
 * printed with ours on netmap ports. So every line says what was called and what came of it, and
 * nothing that may differ: no descriptors, no times, no counts that depend on the device.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define FRAME_LEN   100
#define DEADLINE_MS 5000

#define SAY(call)   printf("%s = %ld\n", #call, (long)(call))
#define SAY_ERR(p, call)                                                                           \
	do {                                                                                       \
		const long result = (long)(call);                                                  \
                                                                                                   \
		printf("%s = %ld: %s\n", #call, result, pcap_geterr(p));                           \
	} while (0)

static const char *receiver, *sender;
static char errbuf[PCAP_ERRBUF_SIZE];

static long
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static pcap_t *
must_open(const char *name, int snaplen, int timeout_ms, int precision)
{
	pcap_t *p = pcap_create(name, errbuf);

	if (p == NULL) {
		printf("pcap_create: %s\n", errbuf);
		exit(1);
	}
	pcap_set_snaplen(p, snaplen);
	pcap_set_timeout(p, timeout_ms);
	pcap_set_immediate_mode(p, 1);
	pcap_set_promisc(p, 1);
	pcap_set_tstamp_precision(p, precision);
	if (pcap_activate(p) < 0) {
		printf("pcap_activate: %s\n", pcap_geterr(p));
		exit(1);
	}
	return p;
}

static void
make_frame(u_char *frame, int n)
{
	memset(frame, n, FRAME_LEN);
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x01\x88\xb5", 8);
}

static void
send_frames(pcap_t *tx, int first, int n)
{
	u_char frame[FRAME_LEN];
	int i;

	for (i = first; i < first + n; i++) {
		make_frame(frame, i);
		if (pcap_inject(tx, frame, sizeof(frame)) != sizeof(frame))
			printf("pcap_inject: %s\n", pcap_geterr(tx));
	}
}

struct got {
	pcap_t *p;
	int n, break_at;
	int first, last; /* bytes that tell which frame it was */
	bool in_order;
};

static void
count(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct got *g = (struct got *)(void *)user;

	if (g->n == 0)
		g->first = data[20];
	else if (data[20] != g->last + 1)
		g->in_order = false;
	g->last = data[20];
	g->n++;
	if (h->len != FRAME_LEN)
		printf("a frame of %u bytes\n", h->len);
	if (g->n == g->break_at)
		pcap_breakloop(g->p);
}

/* Dispatch until @n frames have come. */
static struct got
collect(pcap_t *p, int n, int cnt)
{
	struct got g = {.p = p, .in_order = true};
	const long end = now_ms() + DEADLINE_MS;

	while (g.n < n && now_ms() < end)
		if (pcap_dispatch(p, cnt, count, (u_char *)(void *)&g) < 0)
			break;
	return g;
}

static void
not_activated(void)
{
	pcap_t *p = pcap_create(receiver, errbuf);
	struct pcap_pkthdr *hdr, one;
	struct bpf_program prog = {0};
	const u_char *data;
	struct pcap_stat st;
	int *list;

	puts("-- not activated");
	SAY_ERR(p, pcap_dispatch(p, -1, count, NULL));
	SAY_ERR(p, pcap_loop(p, 1, count, NULL));
	SAY_ERR(p, pcap_next_ex(p, &hdr, &data));
	SAY(pcap_next(p, &one) == NULL);
	SAY_ERR(p, pcap_stats(p, &st));
	SAY_ERR(p, pcap_compile(p, &prog, "ip", 1, 0));
	SAY_ERR(p, pcap_setfilter(p, &prog));
	SAY_ERR(p, pcap_setdirection(p, PCAP_D_IN));
	SAY_ERR(p, pcap_datalink(p));
	SAY_ERR(p, pcap_list_datalinks(p, &list));
	SAY(pcap_snapshot(p));
	SAY(pcap_is_swapped(p));
	SAY(pcap_major_version(p));
	SAY(pcap_minor_version(p));
	SAY(pcap_bufsize(p));
	SAY_ERR(p, pcap_inject(p, "", 1));
	SAY(pcap_file(p) == NULL);
	SAY(pcap_fileno(p));
	SAY(pcap_get_selectable_fd(p));
	SAY(pcap_get_required_select_timeout(p) == NULL);
	SAY(pcap_dump_open(p, "-") == NULL);
	SAY(pcap_getnonblock(p, errbuf));
	SAY(pcap_setnonblock(p, 1, errbuf));
	SAY(pcap_getnonblock(p, errbuf));
	SAY(pcap_get_tstamp_precision(p));
	SAY(pcap_set_tstamp_precision(p, 77));
	SAY(pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO));
	SAY(pcap_get_tstamp_precision(p));
	SAY(pcap_set_tstamp_type(p, PCAP_TSTAMP_HOST));
	SAY(pcap_set_tstamp_type(p, 99));
	SAY(pcap_can_set_rfmon(p));
	SAY(pcap_set_snaplen(p, 0));
	SAY(pcap_set_promisc(p, 1));
	SAY(pcap_set_timeout(p, 10));
	SAY(pcap_set_buffer_size(p, 1 << 20));
	SAY(pcap_set_immediate_mode(p, 1));
	SAY(pcap_set_protocol_linux(p, 3));
	pcap_breakloop(p);
	SAY(pcap_set_protocol_linux(p, 0));
	SAY(pcap_activate(p));
	SAY(pcap_getnonblock(p, errbuf));
	SAY(pcap_snapshot(p));
	SAY_ERR(p, pcap_activate(p));
	SAY_ERR(p, pcap_set_snaplen(p, 1));
	SAY_ERR(p, pcap_set_timeout(p, 1));
	SAY_ERR(p, pcap_set_promisc(p, 1));
	SAY_ERR(p, pcap_set_rfmon(p, 1));
	SAY_ERR(p, pcap_set_buffer_size(p, 1));
	SAY_ERR(p, pcap_set_immediate_mode(p, 1));
	SAY_ERR(p, pcap_set_tstamp_type(p, PCAP_TSTAMP_HOST));
	SAY_ERR(p, pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_MICRO));
	pcap_close(p);
	p = pcap_create(receiver, errbuf);
	SAY(pcap_set_rfmon(p, 1));
	SAY(pcap_activate(p));
	pcap_close(p);
}

static void
snaplens(void)
{
	static const int lens[] = {-1, 0, 1, 96, 65535, 262144, 262145, 1 << 30};
	size_t i;

	puts("-- snapshot lengths");
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		pcap_t *p = must_open(receiver, lens[i], 10, PCAP_TSTAMP_PRECISION_MICRO);

		printf("%d becomes %d\n", lens[i], pcap_snapshot(p));
		pcap_close(p);
	}
}

static void
properties(void)
{
	pcap_t *p = must_open(receiver, 96, 10, PCAP_TSTAMP_PRECISION_NANO);
	struct bpf_program prog;
	bpf_u_int32 net, mask;
	int *list = NULL, n;

	puts("-- properties");
	SAY(pcap_datalink(p));
	SAY(pcap_datalink_ext(p));
	n = pcap_list_datalinks(p, &list);
	printf("first data link of some: %d\n", n > 0 ? list[0] : -1);
	pcap_free_datalinks(list);
	SAY(pcap_set_datalink(p, DLT_EN10MB));
	SAY_ERR(p, pcap_set_datalink(p, DLT_IEEE802_11));
	SAY(pcap_is_swapped(p));
	SAY(pcap_major_version(p));
	SAY(pcap_minor_version(p));
	SAY(pcap_file(p) == NULL);
	SAY(pcap_bufsize(p) > 0);
	SAY(pcap_get_tstamp_precision(p));
	SAY(pcap_get_selectable_fd(p) == pcap_fileno(p));
	SAY(pcap_get_required_select_timeout(p) == NULL);
	SAY(pcap_setdirection(p, PCAP_D_IN));
	SAY(pcap_setdirection(p, PCAP_D_INOUT));
	SAY_ERR(p, pcap_compile(p, &prog, "this is no filter", 1, 0));
	SAY_ERR(p, pcap_setfilter(p, NULL));
	SAY(pcap_compile(p, &prog, "udp port 53", 1, PCAP_NETMASK_UNKNOWN));
	printf("%u instructions, the last but one returns %u\n", prog.bf_len,
		prog.bf_insns[prog.bf_len - 2].k);
	SAY(pcap_setfilter(p, &prog));
	pcap_freecode(&prog);
	SAY(pcap_inject(p, "too short", 9));
	pcap_close(p);
	SAY(pcap_open_live("no-such-device", 100, 0, 10, errbuf) == NULL);
	SAY(errbuf[0] != '\0');
	if (pcap_lookupnet(receiver, &net, &mask, errbuf) == 0)
		SAY(net | mask);
	else
		puts("net | mask = 0"); /* the system's: no address assigned */
}

static void
reading(pcap_t *rx, pcap_t *tx)
{
	struct pcap_pkthdr *hdr, one;
	struct pcap_stat st;
	const u_char *data;
	struct got g;
	long began;
	int i, n;

	puts("-- reading");
	send_frames(tx, 1, 5);
	g = collect(rx, 5, -1);
	printf("%d frames from %d to %d in order %d\n", g.n, g.first, g.last, g.in_order);
	send_frames(tx, 10, 9);
	g = collect(rx, 2, 2);
	printf("%d frames from %d\n", g.n, g.first);
	g = (struct got){.p = rx, .in_order = true};
	SAY(pcap_loop(rx, 3, count, (u_char *)(void *)&g));
	printf("%d frames from %d to %d in order %d\n", g.n, g.first, g.last, g.in_order);
	for (i = 0; i < 2; i++) {
		n = pcap_next_ex(rx, &hdr, &data);
		printf("next_ex %d: len %u caplen %u byte %d\n", n, hdr->len, hdr->caplen,
			data[20]);
	}
	data = pcap_next(rx, &one);
	printf("next: len %u caplen %u byte %d\n", one.len, one.caplen,
		data != NULL ? data[20] : -1);
	g = (struct got){.p = rx, .in_order = true};
	SAY(pcap_dispatch(rx, 1, count, (u_char *)(void *)&g));
	printf("%d frames from %d\n", g.n, g.first);

	SAY(pcap_setnonblock(rx, 1, errbuf));
	SAY(pcap_getnonblock(rx, errbuf));
	began = now_ms();
	SAY(pcap_dispatch(rx, -1, count, NULL));
	SAY(pcap_next_ex(rx, &hdr, &data));
	SAY(now_ms() - began < 50);
	SAY(pcap_setnonblock(rx, 0, errbuf));

	SAY(pcap_stats(rx, &st));
	printf("%u received, %u dropped\n", st.ps_recv, st.ps_drop);
}

/* Only ours: on Linux the system's library waits for a frame, whatever the time limit. */
static void
timed_out(void)
{
	pcap_t *rx = must_open(receiver, 65535, 100, PCAP_TSTAMP_PRECISION_MICRO);
	struct pcap_pkthdr *hdr, one;
	const u_char *data;
	const long began = now_ms();

	puts("-- time limit");
	SAY(pcap_next_ex(rx, &hdr, &data));
	SAY(pcap_next(rx, &one) == NULL);
	SAY(pcap_dispatch(rx, -1, count, NULL));
	SAY(now_ms() - began >= 250);
	SAY(now_ms() - began < 2500);
	pcap_close(rx);
}

static void
snapped(pcap_t *tx)
{
	pcap_t *rx = must_open(receiver, 30, 100, PCAP_TSTAMP_PRECISION_MICRO);
	struct pcap_pkthdr *hdr;
	const u_char *data;
	int n;

	puts("-- a short snapshot");
	send_frames(tx, 1, 1);
	n = pcap_next_ex(rx, &hdr, &data);
	printf("next_ex %d: len %u caplen %u usec below a million %d\n", n, hdr->len, hdr->caplen,
		hdr->ts.tv_usec < 1000000);
	pcap_close(rx);
}

static void
filtered(pcap_t *tx)
{
	pcap_t *rx = must_open(receiver, 65535, 100, PCAP_TSTAMP_PRECISION_MICRO);
	struct bpf_program prog;
	struct pcap_stat st;
	struct got g;

	puts("-- filtered");
	SAY(pcap_compile(rx, &prog, "ether[20] >= 5 and ether[20] < 8", 1, 0));
	SAY(pcap_setfilter(rx, &prog));
	pcap_freecode(&prog);
	send_frames(tx, 1, 20);
	g = collect(rx, 3, -1);
	printf("%d frames from %d to %d in order %d\n", g.n, g.first, g.last, g.in_order);
	SAY(pcap_setnonblock(rx, 1, errbuf));
	SAY(pcap_dispatch(rx, -1, count, (u_char *)(void *)&g));
	SAY(pcap_stats(rx, &st));
	printf("%u received, %u dropped\n", st.ps_recv, st.ps_drop);
	SAY(pcap_compile(rx, &prog, "", 1, 0));
	SAY(pcap_setfilter(rx, &prog));
	pcap_freecode(&prog);
	send_frames(tx, 40, 2);
	g = collect(rx, 2, -1);
	printf("%d frames from %d\n", g.n, g.first);
	pcap_close(rx);
}

static pcap_t *to_break;

static void *
break_later(void *arg)
{
	(void)arg;
	usleep(100000);
	pcap_breakloop(to_break);
	return NULL;
}

static void
on_alarm(int sig)
{
	(void)sig;
	pcap_breakloop(to_break);
}

static void
breaking(pcap_t *tx)
{
	/* a long timeout, so that nothing but the break ends the wait */
	pcap_t *rx = must_open(receiver, 65535, 60000, PCAP_TSTAMP_PRECISION_MICRO);
	struct sigaction sa = {.sa_handler = on_alarm};
	struct got g = {.p = rx, .in_order = true, .break_at = 2};
	const struct itimerval soon = {.it_value = {0, 100000}};
	pthread_t t;

	puts("-- breaking");
	to_break = rx;
	pcap_breakloop(rx);
	SAY(pcap_dispatch(rx, -1, count, (u_char *)(void *)&g));
	send_frames(tx, 1, 4);
	SAY(pcap_loop(rx, -1, count, (u_char *)(void *)&g));
	printf("%d frames\n", g.n);
	g = collect(rx, 2, -1);
	printf("%d more, from %d\n", g.n, g.first);
	pthread_create(&t, NULL, break_later, NULL);
	SAY(pcap_loop(rx, -1, count, (u_char *)(void *)&g));
	pthread_join(t, NULL);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	SAY(pcap_loop(rx, -1, count, (u_char *)(void *)&g));
	send_frames(tx, 1, 1);
	g = collect(rx, 1, -1);
	printf("%d after the breaks\n", g.n);
	pcap_close(rx);
}

static void
waiting(pcap_t *tx)
{
	pcap_t *rx = must_open(receiver, 65535, 1000, PCAP_TSTAMP_PRECISION_MICRO);
	const int fd = pcap_get_selectable_fd(rx);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct epoll_event ev = {.events = EPOLLIN}, out;
	const int ep = epoll_create1(0);
	struct timeval none = {0, 0}, some = {5, 0};
	struct got g;
	fd_set set;

	puts("-- waiting");
	SAY(pcap_setnonblock(rx, 1, errbuf));
	FD_ZERO(&set);
	FD_SET(fd, &set);
	SAY(select(fd + 1, &set, NULL, NULL, &none));
	send_frames(tx, 1, 1);
	FD_SET(fd, &set);
	SAY(select(fd + 1, &set, NULL, NULL, &some));
	g = collect(rx, 1, -1);
	printf("%d frames\n", g.n);
	SAY(poll(&p, 1, 0));
	send_frames(tx, 1, 1);
	SAY(poll(&p, 1, 5000));
	SAY(p.revents & POLLIN);
	g = collect(rx, 1, -1);
	printf("%d frames\n", g.n);
	SAY(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev));
	SAY(epoll_wait(ep, &out, 1, 0));
	send_frames(tx, 1, 3);
	SAY(epoll_wait(ep, &out, 1, 5000));
	/* One of three is read: there is more */
	g = collect(rx, 1, 1);
	SAY(epoll_wait(ep, &out, 1, 5000));
	g = collect(rx, 2, -1);
	SAY(epoll_wait(ep, &out, 1, 0));
	close(ep);
	pcap_close(rx);
}

static void
dumping(pcap_t *tx)
{
	pcap_t *rx = must_open(receiver, 77, 1000, PCAP_TSTAMP_PRECISION_NANO);
	FILE *f = tmpfile();
	pcap_dumper_t *d = pcap_dump_fopen(rx, f);
	struct pcap_file_header fh;

	puts("-- dumping");
	SAY(d != NULL);
	send_frames(tx, 1, 2);
	SAY(pcap_loop(rx, 2, pcap_dump, (u_char *)d));
	SAY(pcap_dump_flush(d));
	SAY(pcap_dump_ftell(d));
	rewind(f);
	SAY(fread(&fh, sizeof(fh), 1, f));
	printf("magic %x version %d.%d snaplen %u linktype %u\n", fh.magic, fh.version_major,
		fh.version_minor, fh.snaplen, fh.linktype);
	pcap_dump_close(d);
	SAY_ERR(rx, pcap_dump_open(rx, "/no/such/directory/x") == NULL);
	pcap_close(rx);
}

int
main(int argc, char **argv)
{
	pcap_t *rx, *tx;

	if (argc < 3) {
		fprintf(stderr, "usage: pcap_api RECEIVER SENDER [timeouts]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	receiver = argv[1];
	sender = argv[2];
	if (strcmp(receiver, "send") == 0) {
		send_frames(must_open(sender, 65535, 100, PCAP_TSTAMP_PRECISION_MICRO), 1, 1);
		return 0;
	}
	not_activated();
	snaplens();
	properties();
	tx = must_open(sender, 65535, 100, PCAP_TSTAMP_PRECISION_MICRO);
	rx = must_open(receiver, 65535, 100, PCAP_TSTAMP_PRECISION_MICRO);
	reading(rx, tx);
	pcap_close(rx);
	snapped(tx);
	filtered(tx);
	breaking(tx);
	waiting(tx);
	dumping(tx);
	pcap_close(tx);
	if (argc > 3)
		timed_out();
	return 0;
}
