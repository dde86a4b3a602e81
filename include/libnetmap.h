/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libnetmap.h - open netmap ports by name, and build requests.
 *
 * Three layers, each usable alone. nmport_open() and nmport_close() do everything for a port name.
 * Below them a descriptor can be prepared, changed, registered and mapped in steps, and undone in
 * the reverse order. The nmreq_* functions parse names and handle option lists for programs that
 * issue their own requests.
 *
 * Port names:
 *
 *	netmap:NAME or valeID:NAME     a port; NAME{ID and NAME}ID are the ends of a pipe
 *	tap:NAME                       a kernel interface made for the purpose
 *	^  ^N  *  -N                   host rings, one of them, all rings, one ring; none: all but host
 *	/xztrRT                        exclusive, zero-copy monitor, monitor tx, rx, only rx, only tx
 *	@N                             memory region
 *	@key=value  @key:k=v,k=v       options: share, conf, extmem, offset, netns
 *
 * Functions that return int give 0, or -1 with errno set, unless said otherwise; those that return
 * a pointer give NULL with errno set. A message that says what was wrong goes to the context,
 * which prints on stderr unless the program installs its own.
 *
 * Threads: distinct descriptors may be used from distinct threads; one descriptor is not locked.
 * What descriptors share, the memory regions of a context, is under the lock of the context. The
 * default context has a mutex unless LIBNETMAP_NOTHREADSAFE is defined before the inclusion
 * everywhere in the program. nmport_enable_option(), nmport_disable_option() and
 * nmctx_set_default() are for the start of a program, before its threads.
 */
#ifndef LIBNETMAP_H_
#define LIBNETMAP_H_

#include <net/netmap_user.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library is built with hidden visibility; all that stands between push and pop is exported. */
#pragma GCC visibility push(default)

struct nmctx;
struct nmem_d;
struct nmport_cleanup_d;

/**
 * struct nmport_d - a port, open or about to be
 * @hdr: the request; may be edited before registration
 * @reg: its body; may be edited before registration, holds the results after
 * @mem: the mapped region; equal pointers mean that buffers can be exchanged by index
 * @ctx: borrowed; must outlive the port
 * @register_done: registered
 * @mmap_done: mapped
 * @extmem: option EXTMEM of the request, or NULL
 * @fd: bound descriptor, -1 when not registered
 * @nifp: the struct netmap_if
 * @first_tx_ring: bound transmit rings, from here ...
 * @last_tx_ring: ... to here; first > last when there are none
 * @first_rx_ring: bound receive rings, from here ...
 * @last_rx_ring: ... to here; first > last when there are none
 * @cur_tx_ring: where nmport_inject() looks first
 * @cur_rx_ring: for the program to use
 * @clist: private
 */
struct nmport_d {
	struct nmreq_header hdr;
	struct nmreq_register reg;

	struct nmem_d *mem;
	struct nmctx *ctx;

	int register_done;
	int mmap_done;
	struct nmreq_opt_extmem *extmem;

	int fd;
	struct netmap_if *nifp;
	uint16_t first_tx_ring;
	uint16_t last_tx_ring;
	uint16_t first_rx_ring;
	uint16_t last_rx_ring;
	uint16_t cur_tx_ring;
	uint16_t cur_rx_ring;

	struct nmport_cleanup_d *clist;
};

/* ---- ports, all in one ---- */

/**
 * nmport_open() - open a port by name: parse, register, map
 * @portspec: see the top of this file; copied
 *
 * Return: the port, the caller's to end with nmport_close(); NULL with errno EINVAL (name or
 * option), EOPNOTSUPP (disabled or unsupported option), ENOMEM, or what open, the request or mmap
 * gave.
 */
struct nmport_d *nmport_open(const char *portspec);

/** nmport_close() - undo nmport_open() whole and free @d, which may be NULL */
void nmport_close(struct nmport_d *d);

/**
 * nmport_inject() - queue a packet for transmission
 * @d: open port
 * @buf: the packet; copied
 * @size: bytes; a packet larger than a buffer takes several slots, marked NS_MOREFRAG
 *
 * Rings are tried from cur_tx_ring on. Does not sync. Return: @size, or 0 when no ring has room.
 */
int nmport_inject(struct nmport_d *d, const void *buf, size_t size);

/* ---- ports, step by step ---- */

/** nmport_new() - an empty descriptor in the default context; ENOMEM */
struct nmport_d *nmport_new(void);

/** nmport_parse() - fill an empty descriptor from a name; on error nothing is left behind */
int nmport_parse(struct nmport_d *d, const char *portspec);

/** nmport_register() - open /dev/netmap and register; EINVAL if registered already */
int nmport_register(struct nmport_d *d);

/** nmport_register_fd() - register on @fd, which then belongs to @d; left alone on error */
int nmport_register_fd(struct nmport_d *d, int fd);

/** nmport_mmap() - map the region, or share the mapping of it; EINVAL if not registered or mapped */
int nmport_mmap(struct nmport_d *d);

/* Each undoes the function it is named after, and does nothing where that is not needed. */
void nmport_delete(struct nmport_d *d);
void nmport_undo_parse(struct nmport_d *d);
void nmport_undo_register(struct nmport_d *d);
void nmport_undo_mmap(struct nmport_d *d);

/** nmport_prepare() - nmport_new() and nmport_parse() */
struct nmport_d *nmport_prepare(const char *portspec);

/** nmport_open_desc() - nmport_register() and nmport_mmap() */
int nmport_open_desc(struct nmport_d *d);

/* NULL is accepted. */
void nmport_undo_prepare(struct nmport_d *d);
void nmport_undo_open_desc(struct nmport_d *d);

/**
 * nmport_clone() - another descriptor for the same port, not yet open
 * @d: the model; not changed
 *
 * Name, request and context are copied, options are not. EINVAL if @d has external memory and is
 * not registered, for then its region has no number yet; ENOMEM.
 */
struct nmport_d *nmport_clone(struct nmport_d *d);

/* ---- additions between nmport_prepare() and nmport_register() ---- */

/**
 * nmport_extmem() - have the port use this memory
 * @base: page-aligned, shared and writable; must stay until the port is closed
 * @size: bytes
 *
 * EINVAL after registration or when called twice; ENOMEM.
 */
int nmport_extmem(struct nmport_d *d, void *base, size_t size);

/** nmport_extmem_from_file() - have the port use a file, mapped shared and whole; undone at close */
int nmport_extmem_from_file(struct nmport_d *d, const char *fname);

/** nmport_extmem_getinfo() - the layout asked for, to be edited, or obtained; NULL without extmem */
struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d);

/**
 * nmport_offset() - let packets begin behind the start of their buffers
 * @initial: bytes, stored into all slots
 * @maxoff: largest offset that will be used
 * @bits: low bits of slot.ptr that hold it; 0 for all
 * @mingap: most bytes written at an offset where slots share buffers, else 0
 */
int nmport_offset(
	struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits, uint64_t mingap);

/** nmport_enable_option() - let nmport_parse() accept an option; EOPNOTSUPP if there is no such */
int nmport_enable_option(const char *opt);

/** nmport_disable_option() - have nmport_parse() refuse an option; unknown names are ignored */
void nmport_disable_option(const char *opt);

/* Private, exported for programs that were linked with older libraries. */
void nmport_do_cleanup(struct nmport_d *d);
void nmport_extmem_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d);
void nmport_extmem_from_file_cleanup(struct nmport_cleanup_d *c, struct nmport_d *d);

/* ---- requests ---- */

/** nmreq_header_init() - zero a header and set version, type and body */
void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body);

/**
 * nmreq_header_decode() - read the port of a name
 * @ppspec: in: a port name; out: what follows the port
 * @hdr: nr_name is set
 * @ctx: for messages
 *
 * Return: 0; -1 with errno EINVAL, and neither @ppspec nor @hdr changed.
 */
int nmreq_header_decode(const char **ppspec, struct nmreq_header *hdr, struct nmctx *ctx);

/**
 * nmreq_register_decode() - read mode, flags and region of a name
 * @pmode: in: what nmreq_header_decode() left; out: the end, or the "@" of the first option
 * @reg: nr_mode, nr_ringid, nr_flags are set; nr_mem_id if the name has one
 * @ctx: for messages
 *
 * Return: 0; -1 with errno EINVAL, and neither @pmode nor @reg changed.
 */
int nmreq_register_decode(const char **pmode, struct nmreq_register *reg, struct nmctx *ctx);

#define NMREQ_OPT_MAXKEYS 16

struct nmreq_parse_ctx;

/* Called when all keys of an option are known; 0, or -1 with errno set. */
typedef int (*nmreq_opt_parser_cb)(struct nmreq_parse_ctx *);

/**
 * struct nmreq_opt_key - a key that an option has
 * @key: name; - and _ are the same
 * @id: place in keys[] of struct nmreq_parse_ctx, below NMREQ_OPT_MAXKEYS
 * @flags: NMREQ_OPTK_*
 */
struct nmreq_opt_key {
	const char *key;
	int id;
	unsigned int flags;
#define NMREQ_OPTK_ALLOWEMPTY 1U /* may stand without =value */
#define NMREQ_OPTK_MUSTSET    2U /* may not be missing */
#define NMREQ_OPTK_DEFAULT    4U /* gets the value of option=value */
};

/**
 * struct nmreq_opt_parser - an option of port names
 * @prefix: its name
 * @parse: gets the values
 * @default_key: id of the key that gets the value of option=value, -1 if there is none
 * @nr_keys: entries of @keys in use
 * @flags: NMREQ_OPTF_*
 * @next: another option, or NULL
 * @keys: the keys
 */
struct nmreq_opt_parser {
	const char *prefix;
	nmreq_opt_parser_cb parse;
	int default_key;
	int nr_keys;
	unsigned int flags;
#define NMREQ_OPTF_DISABLED   1U /* refused with EOPNOTSUPP */
#define NMREQ_OPTF_ALLOWEMPTY 2U /* may stand without = or : */
	struct nmreq_opt_parser *next;
	struct nmreq_opt_key keys[NMREQ_OPT_MAXKEYS];
} __attribute__((__aligned__(16)));

/**
 * struct nmreq_parse_ctx - what an option callback is given
 * @ctx: for messages
 * @token: as passed to nmreq_options_decode()
 * @keys: values by key id, NULL where not set; valid until the callback returns
 */
struct nmreq_parse_ctx {
	struct nmctx *ctx;
	void *token;
	const char *keys[NMREQ_OPT_MAXKEYS];
};

/**
 * nmreq_options_decode() - read the options of a name
 * @opt: "" or what begins with "@"
 * @parsers: list of known options
 * @token: for the callbacks
 * @ctx: for messages
 *
 * Each option is given to its callback, in order, until one fails. Return: 0; -1 with errno EINVAL,
 * EOPNOTSUPP (disabled option), ENOMEM, or what the callback set.
 */
int nmreq_options_decode(
	const char *opt, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx);

/**
 * nmreq_get_mem_id() - ask which region a port uses
 * @portname: in: a port name; out: what follows the port
 *
 * Return: the region, or -1 with errno set.
 */
int32_t nmreq_get_mem_id(const char **portname, struct nmctx *ctx);

/** nmreq_push_option() - put an option, the caller's, in front of the list */
void nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt);

/** nmreq_remove_option() - take an option out of the list; nothing happens if it is not there */
void nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt);

/** nmreq_find_option() - the first option of a type, or NULL */
struct nmreq_option *nmreq_find_option(struct nmreq_header *hdr, uint32_t type);

/** nmreq_free_options() - free() every option of the list and empty it */
void nmreq_free_options(struct nmreq_header *hdr);

/** nmreq_option_name() - a word for an option type; static */
const char *nmreq_option_name(uint32_t type);

/* The struct nmreq_option at an address as it stands in a request, and a loop over a list. */
#define NMREQ_OPTION_AT(addr) ((struct nmreq_option *)(uintptr_t)(addr))
#define nmreq_foreach_option(hdr_, opt_)                                                           \
	for ((opt_) = NMREQ_OPTION_AT((hdr_)->nr_options); (opt_) != NULL;                         \
		(opt_) = NMREQ_OPTION_AT((opt_)->nro_next))

/* ---- contexts ---- */

/* Callbacks run in the thread that called the library. The lock is never taken twice by one. */
typedef void (*nmctx_error_cb)(struct nmctx *, const char *);
typedef void *(*nmctx_malloc_cb)(struct nmctx *, size_t);
typedef void (*nmctx_free_cb)(struct nmctx *, void *);
typedef void (*nmctx_lock_cb)(struct nmctx *, int);

/**
 * struct nmctx - what ports have in common
 * @verbose: 0 for no messages
 * @error: gets each message, without a newline
 * @malloc: allocates
 * @free: frees
 * @lock: locks (1), unlocks (0); may be NULL
 * @mem_descs: mapped regions. W: library, locked
 */
struct nmctx {
	int verbose;
	nmctx_error_cb error;
	nmctx_malloc_cb malloc;
	nmctx_free_cb free;
	nmctx_lock_cb lock;

	struct nmem_d *mem_descs;
};

/**
 * struct nmem_d - a mapped region; W: library, under the lock of the context
 * @mem_id: the region
 * @refcount: ports that use the mapping
 * @mem: address
 * @size: bytes
 * @is_extmem: memory of the program, which is not unmapped
 * @next: another region, or NULL
 * @prev: another region, or NULL
 */
struct nmem_d {
	uint16_t mem_id;
	int refcount;
	void *mem;
	size_t size;
	int is_extmem;

	struct nmem_d *next;
	struct nmem_d *prev;
};

/** nmctx_get() - the default context */
struct nmctx *nmctx_get(void);

/** nmctx_set_default() - use @ctx from now on, NULL for the library's own; returns the last one */
struct nmctx *nmctx_set_default(struct nmctx *ctx);

/** nmctx_set_threadsafe() - give the default context a mutex, unless it has a lock */
void nmctx_set_threadsafe(void);

/** nmctx_ferror() - format a message, of at most 999 bytes, and give it to the context */
void nmctx_ferror(struct nmctx *ctx, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/**
 * nmctx_last_error() - why this thread's last open or ioctl of /dev/netmap failed, and what to do
 *
 * Not in upstream's library. One sentence, without the name of the port unless it matters; empty if
 * there is no more to say than errno does. Valid until the thread's next open or ioctl. Never NULL.
 */
const char *nmctx_last_error(void);

/* Through the callbacks of the context. */
void *nmctx_malloc(struct nmctx *ctx, size_t sz);
void nmctx_free(struct nmctx *ctx, void *ptr);
void nmctx_lock(struct nmctx *ctx);
void nmctx_unlock(struct nmctx *ctx);

#ifndef LIBNETMAP_NOTHREADSAFE
/*
 * A reference to nmctx_threadsafe draws the object that has it out of a static library, and that
 * object has a constructor that calls nmctx_set_threadsafe(). This function is there to make the
 * reference; nobody calls it.
 */
extern int nmctx_threadsafe;

static __attribute__((__used__)) void
libnetmap_init(void)
{
	nmctx_threadsafe = 1;
}
#endif /* LIBNETMAP_NOTHREADSAFE */

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif /* LIBNETMAP_H_ */
