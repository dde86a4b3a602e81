/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctl doctor: what this machine offers, what netmapd and each port do with it, and what is slow or refused, with the remedy.
 *
 * Each finding is a line: ok, note (works, could be better) or problem (something that was asked for can't work). The exit
 * status is 1 if there is a problem.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "nmctl.h"
#include "nmt_json.h"

#define MIN_FDS	       4096u
#define MIN_MEMORY_MIB 256u

enum status {
	OK,
	NOTE,
	PROBLEM,
};

struct doctor {
	struct nmctl *n;
	struct nmt_json j;
	unsigned int n_problems;
};

/* @remedy may be NULL. @fmt: the finding itself. */
static void finding(struct doctor *d, enum status status, const char *what, const char *remedy,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void
finding(struct doctor *d, enum status status, const char *what, const char *remedy, const char *fmt,
	...)
{
	static const char *const names[] = {"ok", "note", "problem"};
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (status == PROBLEM)
		d->n_problems++;
	if (d->n->json) {
		nmt_json_begin_object(&d->j, NULL);
		nmt_json_str(&d->j, "check", what);
		nmt_json_str(&d->j, "status", names[status]);
		nmt_json_str(&d->j, "text", text);
		nmt_json_str(&d->j, "remedy", remedy);
		nmt_json_end_object(&d->j);
		return;
	}
	printf("%-8s %-12s %s\n", names[status], what, text);
	if (remedy != NULL)
		printf("%-21s -> %s\n", "", remedy);
}

static void
check_kernel(struct doctor *d)
{
	struct utsname u;
	const int fd = memfd_create("nmctl-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (uname(&u) == 0)
		finding(d, OK, "kernel", NULL, "%s %s on %s", u.sysname, u.release, u.machine);
	if (fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		finding(d, PROBLEM, "memfd",
			"a kernel from 3.17 on is needed, built with CONFIG_MEMFD_CREATE",
			"no sealed memory files (%s): netmapd can't make regions", strerror(errno));
	else
		finding(d, OK, "memfd", NULL, "sealed memory files work");
	if (pidfd < 0)
		finding(d, NOTE, "pidfd", "a kernel from 5.3 on is needed",
			"no process descriptors: workers that end are not started again");
	if (fd >= 0)
		close(fd);
	if (pidfd >= 0)
		close(pidfd);
}

static uint64_t
meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	uint64_t v = 0;

	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL) { /* bounded by the file */
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, "%" SCNu64, &v);
	}
	fclose(f);
	return v;
}

static void
check_memory(struct doctor *d)
{
	const uint64_t avail_mib = meminfo("MemAvailable") / 1024;
	const uint64_t huge = meminfo("HugePages_Free"), size_kib = meminfo("Hugepagesize");

	if (avail_mib < MIN_MEMORY_MIB)
		finding(d, PROBLEM, "memory",
			"a port of 1024 slots takes about 4 MiB: use fewer slots, or free memory",
			"%" PRIu64 " MiB available", avail_mib);
	else
		finding(d, OK, "memory", NULL, "%" PRIu64 " MiB available", avail_mib);
	if (huge == 0)
		finding(d, NOTE, "huge pages",
			"sysctl vm.nr_hugepages=N, if many ports move large amounts of data",
			"none free: regions use ordinary pages");
	else
		finding(d, OK, "huge pages", NULL, "%" PRIu64 " of %" PRIu64 " KiB free", huge,
			size_kib);
}

static void
check_cpus(struct doctor *d)
{
	const long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 2)
		finding(d, NOTE, "CPUs", "sender and receiver share one CPU: rates are about half",
			"%ld online", n);
	else
		finding(d, OK, "CPUs", NULL, "%ld online", n);
}

static void
check_limits(struct doctor *d)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		if (lim.rlim_max < MIN_FDS)
			finding(d, NOTE, "descriptors",
				"raise the hard limit (ulimit -Hn, /etc/security/limits.conf)",
				"at most %llu per process: a program may open that many ports, "
				"less a few",
				(unsigned long long)lim.rlim_max);
		else
			finding(d, OK, "descriptors", NULL, "at most %llu per process",
				(unsigned long long)lim.rlim_max);
	}
	if (getrlimit(RLIMIT_AS, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY)
		finding(d, NOTE, "ulimit -v", "ulimit -v unlimited: regions are large but sparse",
			"address space limited to %llu MiB",
			(unsigned long long)(lim.rlim_cur >> 20));
	if (getrlimit(RLIMIT_FSIZE, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY)
		finding(d, NOTE, "ulimit -f",
			"ulimit -f unlimited before netmapd starts: it bounds memory files too",
			"file size limited to %llu MiB", (unsigned long long)(lim.rlim_cur >> 20));
}

static bool
has_net_admin(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long caps = 0;
	char line[128];

	if (f == NULL)
		return false;
	while (fgets(line, sizeof(line), f) != NULL) /* bounded by the file */
		sscanf(line, "CapEff: %llx", &caps);
	fclose(f);
	return (caps >> CAP_NET_ADMIN) & 1;
}

static void
check_tap(struct doctor *d)
{
	if (access("/dev/net/tun", F_OK) < 0)
		finding(d, NOTE, "TAP", "modprobe tun", "there is no /dev/net/tun: no TAP ports");
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		finding(d, NOTE, "TAP",
			"use the system instance, or let an administrator make the device "
			"accessible",
			"/dev/net/tun can't be opened by you");
	else if (!has_net_admin())
		finding(d, NOTE, "TAP",
			"use the system instance (run as root), or: ip tuntap add NAME mode tap "
			"user USER",
			"you lack CAP_NET_ADMIN: only TAPs that were made for you can be opened");
	else
		finding(d, OK, "TAP", NULL, "/dev/net/tun can be used");
}

static void
check_xdp(struct doctor *d)
{
	const int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT)
		finding(d, NOTE, "AF_XDP", "a kernel from 5.4 on, built with CONFIG_XDP_SOCKETS",
			"this kernel has none: interfaces are reached by AF_PACKET");
	else if (fd < 0)
		finding(d, NOTE, "AF_XDP", "use the system instance (a netmapd that root runs)",
			"you can't open interfaces (%s)", strerror(errno));
	else
		finding(d, OK, "AF_XDP", NULL, "there are sockets for interfaces");
	if (fd >= 0)
		close(fd);
}

static void
check_interface(struct doctor *d, const char *port, uint64_t max_frame, struct json_object *nic)
{
	const char *why = field_str(nic, "slower_because");

	finding(d, OK, "interface", NULL, "%s: mode %s%s%s", port, field_str(nic, "mode"),
		why[0] != '\0' ? "; " : "", why);
	if (!field_bool(nic, "up"))
		finding(d, NOTE, "interface", "ip link set IF up", "%s: it is down", port);
	if (field_u64(nic, "queues_without_ring") > 0)
		finding(d, NOTE, "interface", "close it and open it again, or: ethtool -L",
			"%s: it has %" PRIu64 " more queues than when it was opened, whose frames "
			"go to the host stack",
			port, field_u64(nic, "queues_without_ring"));
	if (field_u64(nic, "copied") > 0)
		finding(d, NOTE, "interface",
			"open interfaces before ports that take many buffers, or raise [nic] "
			"buffers in netmapd.conf",
			"%s: %" PRIu64 " frames were copied, as their buffers are not among those "
			"that the kernel knows",
			port, field_u64(nic, "copied"));
	if (!field_bool(nic, "multi_buffer") && max_frame > field_u64(nic, "frame_room"))
		finding(d, NOTE, "interface",
			"lower its MTU, or: nmctl set IF mode packet, and open it again",
			"%s: frames of up to %" PRIu64 " bytes, of which those above %" PRIu64
			" are dropped, as this kernel's AF_XDP has one buffer for each",
			port, max_frame, field_u64(nic, "frame_room"));
	if (strcmp(field_str(nic, "mode"), "xdp-generic") == 0)
		finding(d, NOTE, "interface",
			"use mode xdp or packet; or on the sender's side: ethtool -K IF tso off "
			"gso off",
			"%s: frames that their sender left to segmentation offload (TSO, GSO), as "
			"a "
			"veth's other end does, vanish uncounted in this mode: TCP is slow",
			port);
	if (!field_bool(nic, "keeps_vlan_tags"))
		finding(d, NOTE, "interface",
			"use mode xdp (a kernel from 6.8 on and a driver that tells of tags) or "
			"packet; or on the "
			"sender's side: ethtool -K IF txvlan off",
			"%s: VLAN tags of received frames that their sender left to an offload are "
			"lost in this mode",
			port);
	if (field_u64(nic, "kernel_missed") > 0)
		finding(d, NOTE, "interface",
			"let its program read faster, or open it with more slots",
			"%s: %" PRIu64 " frames were dropped by the kernel for want of room", port,
			field_u64(nic, "kernel_missed"));
}

static void
check_port(struct doctor *d, struct json_object *p)
{
	struct json_object *nic = field_obj(p, "interface");
	struct json_object *drops = field_obj(p, "dropped");
	const char *name = field_str(p, "name");

	finding(d, OK, "port", NULL, "%s: %s, memory %" PRIu64 " (%s), %" PRIu64 " users%s%s", name,
		field_str(p, "kind"), field_u64(p, "memory"),
		field_bool(p, "huge_pages") ? "huge pages" : "ordinary pages",
		field_u64(p, "users"), field_bool(p, "lossless") ? ", lossless" : "",
		field_bool(p, "attached") ? ", driven by a worker" : "");
	if (nic != NULL)
		check_interface(d, name, field_u64(p, "max_frame"), nic);
	if (field_bool(p, "attached") && field_u64(p, "worker_pid") == 0)
		finding(d, PROBLEM, "worker", "see netmapd's log (journalctl -u netmapd)",
			"%s: its worker does not run", name);
	if (field_u64(p, "missed") > 0 && nic == NULL) /* an interface's: check_interface() */
		finding(d, NOTE, "receiver",
			"let it read faster, open it with more slots, or: nmctl set PORT lossless "
			"on",
			"%s: %" PRIu64 " frames found its rings full", name,
			field_u64(p, "missed"));
	if (field_u64(p, "reinits") > 0)
		finding(d, NOTE, "rings", "its program writes head or cur outside the ring",
			"%s: %" PRIu64 " ring resets", name, field_u64(p, "reinits"));
	if (drops == NULL)
		return;
	if (field_u64(drops, "unmapped") > 0)
		finding(d, PROBLEM, "sender",
			"raise ulimit -n of the sending program; is netmapd running?",
			"%s: %" PRIu64 " frames lost as the receiver's memory could not be mapped",
			name, field_u64(drops, "unmapped"));
	if (field_u64(drops, "busy") > 0)
		finding(d, NOTE, "sender",
			"another sender was stopped (SIGSTOP, debugger, no CPU) while it delivered",
			"%s: %" PRIu64 " frames lost as the receiver's ring stayed locked", name,
			field_u64(drops, "busy"));
	if (field_u64(drops, "bad_slot") + field_u64(drops, "too_long") + field_u64(drops, "runt") >
		0)
		finding(d, NOTE, "sender", "its program fills slots wrongly: see nmctl show ports",
			"%s: frames with bad slots, too long or below 14 bytes were dropped", name);
}

static void
check_confinement(struct doctor *d, struct json_object *daemon)
{
	if (field_bool(daemon, "syscall_filter"))
		finding(d, OK, "confined", NULL,
			"netmapd and its workers are limited to the system calls that they make");
	else if (!field_bool(daemon, "syscall_filter_wanted"))
		finding(d, NOTE, "confined", "[daemon] seccomp = yes in netmapd.conf",
			"netmapd may make any system call: its configuration says so");
	else
		finding(d, NOTE, "confined", "a kernel with CONFIG_SECCOMP_FILTER is needed",
			"netmapd may make any system call: the kernel did not let it give them up");
}

/* Interfaces are looked for where netmapd runs. */
static void
check_netns(struct doctor *d, struct json_object *daemon)
{
	const uint64_t its = field_u64(daemon, "netns_inode");
	struct stat own;

	if (its != 0 && stat("/proc/self/ns/net", &own) == 0 && own.st_ino != its)
		finding(d, NOTE, "namespace",
			"write IF%NETNS or IF%pid:N for an interface that netmapd's has not",
			"you are in another network namespace than netmapd (pid %" PRIu64
			"): names without one mean interfaces of netmapd's",
			field_u64(daemon, "pid"));
}

/* Clients of a run of netmapd before. */
static void
check_late(struct doctor *d, struct json_object *daemon)
{
	struct json_object *late = field_obj(daemon, "late_clients");
	size_t i;

	for (i = 0; late != NULL && i < json_object_array_length(late); i++) {
		struct json_object *c = json_object_array_get_idx(late, i);

		finding(d, NOTE, "late",
			field_bool(c, "stopped") ? "continue it (kill -CONT), or end it" : "end it",
			"%s, pid %" PRIu64
			"%s, has not come back since netmapd was restarted: interfaces that it has "
			"can't be opened, and their offloads stay off",
			field_str(c, "program"), field_u64(c, "pid"),
			field_bool(c, "stopped") ? ", which is stopped" : "");
	}
}

static void
check_daemon(struct doctor *d, struct json_object *daemon)
{
	finding(d, OK, "netmapd", NULL, "%s, pid %" PRIu64 ", at %s, %s",
		field_str(daemon, "version"), field_u64(daemon, "pid"), d->n->conn.path,
		field_bool(daemon, "system") ? "system instance" : "user instance");
	if (strcmp(field_str(daemon, "version"), UNM_VERSION) != 0)
		finding(d, NOTE, "version", "restart netmapd after an update",
			"nmctl is " UNM_VERSION ", netmapd %s", field_str(daemon, "version"));
	check_netns(d, daemon);
	check_confinement(d, daemon);
	if (field_u64(daemon, "max_fds") < MIN_FDS)
		finding(d, NOTE, "netmapd",
			field_bool(daemon, "autostarted")
				? "the program that started it had a low hard limit: nmctl stop, "
				  "then ulimit -Hn 1048576 in the shell that starts the next one"
				: "LimitNOFILE= in its unit, or ulimit -Hn before it starts",
			"it may have %" PRIu64 " descriptors; each open port takes two or more",
			field_u64(daemon, "max_fds"));
	if (field_bool(daemon, "restoring"))
		finding(d, NOTE, "netmapd", NULL, "it waits for the clients of its last run");
	check_late(d, daemon);
	if (!field_bool(daemon, "state_file"))
		finding(d, PROBLEM, "netmapd", "free space where its socket is",
			"it can't write its state file: a restart will wait for clients longer "
			"than needed");
	if (field_u64(daemon, "waiting_for_locks") > 0)
		finding(d, NOTE, "netmapd", "a stopped client holds a lock: continue or end it",
			"%" PRIu64 " ports can't be freed yet",
			field_u64(daemon, "waiting_for_locks"));
}

static void
check_instance(struct doctor *d)
{
	const char *const words[] = {"show", "all"};
	struct unm_conn *c = &d->n->conn;
	struct json_object *all = NULL, *rows;
	unsigned int i;
	size_t k;
	int ret = unm_conn_open(c, d->n->socket_path);

	for (i = 0; i < c->n_tried; i++)
		finding(d, c->tried_error[i] == 0 ? OK : NOTE, "socket", NULL, "%s: %s",
			c->tried[i],
			c->tried_error[i] == 0 ? "connected" : strerror(c->tried_error[i]));
	if (ret == 0)
		ret = conn_ask(c, words, 2, &all);
	if (ret < 0) {
		finding(d, ret == -EPERM || ret == -EACCES ? PROBLEM : NOTE, "netmapd", NULL, "%s",
			c->text);
		return;
	}
	rows = field_obj(all, "daemon");
	if (rows != NULL && json_object_array_length(rows) == 1)
		check_daemon(d, json_object_array_get_idx(rows, 0));
	rows = field_obj(all, "ports");
	for (k = 0; rows != NULL && k < json_object_array_length(rows); k++)
		check_port(d, json_object_array_get_idx(rows, k));
	json_object_put(all);
}

int
cmd_doctor(struct nmctl *n)
{
	struct doctor d = {.n = n};

	if (n->n_args > 1)
		nmt_usage_error(n->cli, "doctor: '%s' is one word too many", n->args[1]);
	if (n->json) {
		nmt_json_init(&d.j, stdout);
		nmt_json_begin_array(&d.j, NULL);
	}
	check_kernel(&d);
	check_memory(&d);
	check_cpus(&d);
	check_limits(&d);
	check_tap(&d);
	check_xdp(&d);
	check_instance(&d);
	if (n->json) {
		nmt_json_end_array(&d.j);
		nmt_json_newline(&d.j);
	}
	return d.n_problems > 0 ? 1 : 0;
}
