/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control protocol between a client process and netmapd.
 *
 * AF_UNIX SOCK_SEQPACKET, one message a datagram: struct unm_msg_hdr, then the body of the type, file descriptors by
 * SCM_RIGHTS. The client asks, netmapd answers each request once, with the same type and @seq, in the order of the
 * requests. netmapd never speaks first. Host byte order: both ends are on one machine.
 *
 * Who talks: one *session* a process. Its first request is HELLO, which gives the process its client slot (the number
 * in shared lock words). The session's hang-up is how netmapd learns that the process is gone; it then frees
 * the locks that carry the slot and wakes all sleepers, for the dead one may have owed a wake-up.
 *
 * What an application holds: for each open of /dev/netmap, one end (C) of a socket pair made by the client. The other end (D) is
 * bound to the abstract name UNM_DESC_NAME_PREFIX + 32 hex digits, the *descriptor id*, so that any process that gets C (fork,
 * exec, SCM_RIGHTS) recognises it by getpeername() and asks netmapd for the rest by that id. netmapd holds a dup
 * of D, as does each client process that knows the binding. When the last copy of C is closed, D hangs up: the binding ends.
 * The id is no secret (/proc/net/unix), so who asks about a descriptor shows that he holds it: each such request has a *proof* attached, C or D
 * itself, which is recognised by the kernel's cookie of the socket (SO_COOKIE) and closed before the answer.
 * netmapd looks for such hang-ups before it acts on any request, so a close is seen by whatever is asked after it.
 *
 * netmapd dies: sessions hang up, C and D live on in the clients, traffic goes on. Clients connect again, say HELLO with the slot they had,
 * and RESTORE each binding they hold with all its descriptors. netmapd rebuilds its tables from these.
 *
 * Isolated clients speak the same protocol with a broker (nm-isolator), over a socket made by "nmctl isolate create". HELLO's answer says
 * UNM_HELLOF_ISOLATED, a binding is one of kind UNM_PORT_ISOLATED (below), and what is about other clients (GET_REGION, GET_QUEUES, BROKER,
 * ADMIN) is refused with EPERM.
 */
#ifndef UNM_SHM_PROTO_H
#define UNM_SHM_PROTO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define UNM_PROTO_MAGIC	     0x314d4e55u /* "UNM1" */
#define UNM_PROTO_VERSION    3u		 /* differs => refused with UNM_ERR_VERSION and a text */
#define UNM_PROTO_MAXLEN     65536u	 /* of a whole message */
#define UNM_PROTO_MAXFDS     72u
#define UNM_PROTO_SCM_FDS    253u  /* what the kernel lets through with one (SCM_MAX_FD) */
#define UNM_REQ_MAXSIZE	     4096u /* NETMAP_REQ_MAXSIZE: body and options of a CTRL */

#define UNM_SOCKET_ENV	     "UNETMAP_SOCKET" /* overrides the search for the control socket */
#define UNM_NO_AUTOSTART_ENV "UNETMAP_NO_AUTOSTART" /* set: never start a netmapd */
#define UNM_SOCKET_NAME	     "netmapd.sock"
#define UNM_SYSTEM_DIR	     "/run/unetmap"
#define UNM_DESC_NAME_PREFIX "unetmap-" /* after the leading NUL of the abstract name */
#define UNM_DESC_ID_HEXLEN   32

enum unm_msg_type {
	UNM_MSG_HELLO = 1,
	UNM_MSG_OPEN,	     /* a descriptor was made: id + D + C */
	UNM_MSG_CTRL,	     /* one NIOCCTRL request on a descriptor */
	UNM_MSG_GET_BINDING, /* what a REGISTER returned, for a process that was handed C */
	UNM_MSG_GET_REGION,
	UNM_MSG_GET_WAKE,
	UNM_MSG_LOCK_STUCK,
	UNM_MSG_RESTORE,
	UNM_MSG_RESTORE_DONE, /* this session has handed back all it has */
	UNM_MSG_ADMIN,	      /* nmctl: text command in, JSON out (segments by descriptor) */
	UNM_MSG_UNBIND,	      /* what a REGISTER returned could not be used */
	UNM_MSG_GET_QUEUES,
	UNM_MSG_BROKER, /* nm-isolator: which socket is it for, and what is allowed there */
	UNM_MSG_N,
};

struct unm_msg_hdr {
	uint32_t magic;
	uint16_t type;
	uint16_t
		n_fds; /* descriptors attached; a receiver closes them all when the number differs */
	uint32_t len;  /* of the whole message, header included */
	uint32_t seq;
	int32_t error; /* answers: 0 or a positive errno. Requests: 0 */
	uint32_t hdr_pad;
};

/* HELLO. Answered with the same body, and no descriptor. On error EPROTO (version) or EPERM, @text says why and what to do. */
struct unm_msg_hello {
	uint32_t proto_version; /* both ways: the sender's */
	uint32_t
		slot; /* in: slot held before a restart of netmapd, else 0. out: the slot, 1 ... 65535 */
	uint64_t
		instance; /* in: instance last talked to, 0 = none. out: random id of this run of netmapd */
	int32_t pid; /* in: for display only; netmapd uses the kernel's credentials. out: netmapd's */
	uint32_t flags;	  /* out: UNM_HELLOF_* */
	char version[32]; /* both ways: package version */
	char text[128];	  /* out: message for the user when error != 0 */
};

/*
 * Clients neither start a successor nor a private one in its place: it is on the system's path, and
 * was not started on demand, so who started it (systemd) does it again.
 */
#define UNM_HELLOF_SYSTEM 1u
/*
 * The client is in another network or PID namespace than netmapd: it does not start a successor, which
 * would be in its own, out of reach of interfaces and programs where netmapd was.
 */
#define UNM_HELLOF_ELSEWHERE 4u
/*
 * It was not started on demand: whoever did start it may be about to do it again, so clients leave a
 * moment for that before they start a successor.
 */
#define UNM_HELLOF_BY_HAND 8u
/* a broker answers, for isolated clients: with it all bindings end, and none is started */
#define UNM_HELLOF_ISOLATED 2u

/* OPEN: D attached, and C, of which netmapd keeps the cookie. Answer: header alone. */
struct unm_msg_open {
	uint8_t desc_id[16];
};

/*
 * CTRL: @desc_id names the descriptor that the ioctl was made on; its proof is attached. @blob holds the nmreq_header, then the body, then the
 * options one after another in list order, exactly as the caller had them (nro_next and pointers are
 * the caller's, and mean nothing to netmapd: options are found by walking the blob with the sizes of spec 3.6; an option of unknown type is
 * its 24-byte header). The answer carries a blob of the same shape with statuses and results filled in; the client copies back header and option
 * headers always, bodies when error == 0. A successful REGISTER adds struct unm_bind_info and its descriptors.
 *
 * The client has checked: version, reserved, type, presence of the body, total size, readability, duplicates, types of 0, CSB
 * addresses. netmapd checks all that does not need the caller's memory again. CSB, EVENTFDS and MODE options stay in the client (it takes them
 * out of the blob and puts their statuses in), as do SYNC_KLOOP_* and CSB_ENABLE. EXTMEM: the client attaches a
 * descriptor of the memory, @extmem_ofs says where in that file it begins. Without: a broker says what is left of
 * its clients' share, and a port that would take more is not made (ENOMEM).
 */
struct unm_msg_ctrl {
	uint8_t desc_id[16];
	union {
		uint64_t extmem_ofs;
		uint64_t max_bytes; /* without EXTMEM; 0: no limit */
	};
	uint32_t has_extmem; /* 1: the second descriptor of the request is the memory */
	uint32_t has_csb;    /* REGISTER also carries a CSB option: NR_EXCLUSIVE is needed */
	uint32_t blob_len;
	uint32_t
		has_bind_info; /* answer: a struct unm_bind_info follows the blob (8-byte aligned) */
	char text
		[160]; /* answer: a sentence for the user when error != 0: what was wrong and what to do */
	uint8_t blob[];
};

/* A region as its users see it. */
struct unm_region_info {
	uint64_t uid;	   /* random, never reused; nr_mem_id may be */
	uint64_t size;	   /* bytes to map = nr_memsize */
	uint64_t file_ofs; /* of the region in its file (extmem; else 0); page multiple */
	uint32_t id;	   /* nr_mem_id */
	uint32_t flags;	   /* UNM_REGIONF_* */
	uint64_t if_ofs;
	uint32_t if_num, if_size;
	uint64_t ring_ofs;
	uint32_t ring_num, ring_size;
	uint64_t buf_ofs;
	uint32_t buf_num, buf_size;
};

/* nr_mem_id: netmapd gives numbers up to this one; those above are a broker's (isolate/memory.h) */
#define UNM_REGION_LAST_ID   32767u

#define UNM_REGIONF_EXTMEM   1u
#define UNM_REGIONF_HUGE     2u
#define UNM_REGIONF_GLOBAL   4u
#define UNM_REGIONF_ISOLATED 8u /* of one port of an isolated client: nobody else shares it */

/*
 * Everything that a process needs to sync a binding. Descriptors that go with it, in this order:
 *   0 D  1 region memfd  2 region map memfd (netmapd's allocation map; opaque, kept for RESTORE)  3 segment memfd
 *   4 the binding's eventfd  5 ... n_port_fds more, the port's: for a TAP one queue per ring. Of these,
 *   @n_host_fds from @host_fd on are the queues of host ring 0, 1, ..., and what follows them is only kept.
 */
#define UNM_BIND_FDS 5u

struct unm_bind_info {
	uint8_t desc_id[16];
	uint64_t seg_uid;
	uint64_t seg_size;
	uint32_t port; /* index in the segment */
	uint32_t port_gen;
	uint32_t binding; /* index in the segment */
	uint32_t binding_gen;
	uint32_t kind; /* enum unm_port_kind */
	uint32_t n_port_fds;
	uint64_t nifp_ofs; /* of the netmap_if in the region */
	uint64_t nr_flags;
	uint32_t nr_mode;
	uint32_t nr_ringid;
	/* Rings bound, half open, in the order NIC rings then host rings; empty when lo == hi */
	uint32_t tx_lo, tx_hi, rx_lo, rx_hi;
	uint32_t n_extra_bufs;
	uint32_t offset_bits; /* OFFSETS in force: 0 = none */
	uint64_t offset_max;
	uint64_t offset_gap;
	uint32_t host_fd, n_host_fds;
	struct unm_region_info region;
};

/*
 * GET_BINDING, with a proof: answered with struct unm_bind_info and its descriptors; ENXIO: no such descriptor, or not registered (then
 * @is_open tells).
 */
struct unm_msg_get_binding {
	uint8_t desc_id[16];
	uint32_t
		is_open; /* answer: netmapd knows the descriptor; D is attached even if it is not registered */
	uint32_t has_bind_info;
	struct unm_bind_info info; /* answer */
};

/* GET_REGION by uid: answered with the info and the memfd. ESTALE: gone. */
struct unm_msg_get_region {
	struct unm_region_info info; /* request: uid only */
};

/* GET_WAKE: the eventfd of a binding, which netmapd signals on this occasion. ESTALE: the binding is gone. */
struct unm_msg_get_wake {
	uint64_t seg_uid;
	uint32_t binding;
	uint32_t binding_gen;
};

/*
 * GET_QUEUES: the TAP queues behind a port that is ATTACHED to a switch, one descriptor each, for a
 * worker that forwards for another TAP of the same switch: it writes its frames there
 * (vale/direct_fp.h). EPERM: the caller is no such worker. ESTALE: the port is gone, or is no TAP.
 */
struct unm_msg_get_queues {
	uint64_t seg_uid;
	uint32_t port;
	uint32_t port_gen;
};

/*
 * BROKER: an nm-isolator says for which isolate it serves, and hands over its listening socket, which netmapd keeps for the case
 * that it dies. The answer's text is the policy, as words each ended by a NUL (isolate/policy.h). EPERM: the caller was not started as
 * that isolate's broker. To be asked before RESTORE.
 */
struct unm_msg_broker {
	char name[32];
	uint32_t text_len; /* answer */
	uint32_t broker_pad;
	char text[];
};

/* LOCK_STUCK: a lock word did not come free for UNM_LOCK_WAIT_MS. Answer: header; netmapd frees it if its holder is nobody alive. */
struct unm_msg_lock_stuck {
	uint64_t seg_uid;
	uint32_t kring;
	uint32_t word; /* the value seen */
};

/*
 * RESTORE: one binding (all UNM_BIND_FDS + n_port_fds descriptors attached), or one unregistered descriptor (D alone, @registered 0). Then
 * comes C, or D once more if this process has C no longer.
 */
struct unm_msg_restore {
	uint32_t registered;
	uint32_t restore_pad;
	struct unm_bind_info info; /* only desc_id when not registered */
};

/*
 * UNBIND, with a proof: the client had no memory or descriptors for the answer to its REGISTER, which is undone:
 * the descriptor is as if newly opened. Answer: header; EBADF no such descriptor.
 */
struct unm_msg_unbind {
	uint8_t desc_id[16];
};

/*
 * ADMIN: a command line of words, each ended by a NUL, e.g. "show\0ports\0". Allowed without HELLO. The answer is JSON text, or a plain
 * error sentence when error != 0 (after a restart, what changes something is answered as late as CTRL is); what is too long for a message comes in a memfd (text_len 0, one descriptor).
 */
struct unm_msg_admin {
	uint32_t text_len;
	uint32_t admin_pad;
	char text[];
};

static_assert(sizeof(struct unm_msg_hdr) == 24, "message header");
static_assert(sizeof(struct unm_msg_hello) == 184, "HELLO");
static_assert(sizeof(struct unm_msg_ctrl) == 200, "CTRL");
static_assert(sizeof(struct unm_region_info) == 80, "region info");
static_assert(sizeof(struct unm_bind_info) == 208, "bind info");

/**
 * unm_proto_send() - send one message with its descriptors
 * @hdr: complete but for magic and len/n_fds, which are set here; body follows in @body
 *
 * Blocks unless @flags has MSG_DONTWAIT. Return: 0 or -errno (-EPIPE: the peer is gone).
 */
int unm_proto_send(int sock, struct unm_msg_hdr *hdr, const void *body, size_t body_len,
	const int *fds, unsigned int n_fds, int flags);

/**
 * unm_proto_recv() - receive one message
 * @buf:   at least UNM_PROTO_MAXLEN bytes, 8-byte aligned
 * @fds:   array of UNM_PROTO_MAXFDS; received descriptors (close-on-exec), owned by the caller when 0 is returned
 * @n_fds: how many
 *
 * Checks magic, lengths and the number of descriptors; on any failure every received descriptor has been closed.
 * Return: 0, -EAGAIN, -ECONNRESET the peer is gone, -EPROTO malformed, -EMFILE well formed, but there was no room for its descriptors
 * (header and body are in @buf), -errno.
 */
int unm_proto_recv(int sock, void *buf, size_t buf_size, int *fds, unsigned int *n_fds, int flags);

/**
 * unm_proto_recv_foreign() - the same from a peer that is not trusted
 * @fds:   array of UNM_PROTO_SCM_FDS, the caller's in any case, also on error: see closer.h
 *
 * No descriptor of the peer's is closed, neither here nor by the kernel on the way. Never waits. Return: as unm_proto_recv(), but
 * -EMFILE is the end: the message is still there, and to close the socket (unm_closer_close()) is all that is left to do.
 */
int unm_proto_recv_foreign(int sock, void *buf, size_t buf_size, int *fds, unsigned int *n_fds);

#endif
