/* SPDX-License-Identifier: BSD-2-Clause */
/* Proves the checks of NIOCCTRL (spec 5), option statuses, write-back, the legacy requests (spec 19), and option EXTMEM (spec 10.5). */
#include "ct.h"

#define BAD_POINTER 8

static struct nmreq_header
header(uint16_t type, const char *name, void *body)
{
	struct nmreq_header h = {
		.nr_version = NETMAP_API, .nr_reqtype = type, .nr_body = (uintptr_t)body};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	return h;
}

static void
header_checks(void)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_header h, good = header(NETMAP_REQ_PORT_INFO_GET, "", &info);
	const int fd = ct_open_device();

	CHECK_EQ(ioctl(fd, NIOCCTRL, &good), 0);
	CHECK(info.nr_mem_id == 1 && info.nr_memsize > 0);
	good.nr_version = 15;
	CHECK_EQ(ioctl(fd, NIOCCTRL, &good), 0);
	CHECK_ERR(ioctl(fd, NIOCCTRL, (void *)BAD_POINTER), EFAULT);
	h = good;
	h.nr_version = 13;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h.nr_version = 16;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h = good;
	h.nr_reserved = 1;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h = good;
	h.nr_reqtype = 0;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h.nr_reqtype = NETMAP_REQ_CSB_ENABLE + 1;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h = good;
	h.nr_body = 0;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h = header(NETMAP_REQ_VALE_DELIF, "valect:x", &info);
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL);
	h = good;
	h.nr_body = BAD_POINTER;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EFAULT);
	h = good;
	memset(h.nr_name, 'x', sizeof(h.nr_name)); /* ends at byte 63, and is no port */
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), ENXIO);
}

static void
option_checks(void)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_header h = header(NETMAP_REQ_PORT_INFO_GET, "", &info);
	struct nmreq_option a = {0}, b = {0};
	const int fd = ct_open_device();

	h.nr_options = (uintptr_t)&a;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL); /* type 0 */
	CHECK_EQ(a.nro_status, EINVAL);
	a.nro_next = (uintptr_t)&b;
	a.nro_reqtype = b.nro_reqtype = NETMAP_REQ_OPT_MAX;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EINVAL); /* twice the same */
	CHECK(a.nro_status == EINVAL && b.nro_status == EINVAL);
	CHECK_EQ(a.nro_next, (uintptr_t)&b);
	b.nro_reqtype = NETMAP_REQ_OPT_MAX + 1;
	info.nr_memsize = 0;
	CHECK_EQ(ioctl(fd, NIOCCTRL, &h), 0); /* unknown ones do not matter here */
	CHECK(a.nro_status == EOPNOTSUPP && b.nro_status == EOPNOTSUPP && info.nr_memsize > 0);
	b.nro_next = (uintptr_t)&a;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EMSGSIZE); /* a ring of options */
	b.nro_next = BAD_POINTER;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EFAULT);
	b.nro_next = 0;
	b.nro_size = 4097;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EMSGSIZE);
}

static void
register_with_a_strange_option_is_undone(void)
{
	static const uint32_t types[] = {NETMAP_REQ_OPT_SYNC_KLOOP_MODE, NETMAP_REQ_OPT_MAX};
	size_t i;

	for (i = 0; i < 2; i++) {
		struct nmreq_opt_sync_kloop_mode o = {.nro_opt.nro_reqtype = types[i]};
		struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_offset = 77};
		struct nmreq_header h = header(NETMAP_REQ_REGISTER, "valect:undo", &reg);
		const int fd = ct_open_device();

		h.nr_options = (uintptr_t)&o;
		CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EOPNOTSUPP);
		CHECK_EQ(o.nro_opt.nro_status, EOPNOTSUPP);
		CHECK_EQ(reg.nr_offset, 77); /* bodies come back only on success */
		CHECK_ERR(ioctl(fd, NIOCRXSYNC, NULL), ENXIO);
		CHECK_EQ(ct_register(fd, "valect:undo", &reg), 0);
		CHECK_EQ(close(fd), 0);
	}
}

static void
register_errors(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_PIPE_MASTER};
	const int fd = ct_open_device();

	CHECK_ERR(ct_register(fd, "valect:x", &reg), EINVAL);
	reg.nr_mode = NR_REG_DEFAULT;
	CHECK_ERR(ct_register(fd, "valect:x", &reg), EINVAL);
	reg.nr_mode = NR_REG_ALL_NIC;
	CHECK_ERR(ct_register(fd, "nosuchinterface", &reg), ENXIO);
	reg.nr_mem_id = 60000;
	CHECK_ERR(ct_register(fd, "valect:x", &reg), EINVAL);
}

static struct nmreq
legacy(const char *name, uint16_t cmd)
{
	struct nmreq r = {.nr_version = NETMAP_API, .nr_cmd = cmd};

	snprintf(r.nr_name, sizeof(r.nr_name), "%s", name);
	return r;
}

static void
legacy_register(void)
{
	struct nmreq r = legacy("valect:leg", 0);
	const int fd = ct_open_device();
	struct ct_port p = {.fd = fd};

	r.nr_version = 13;
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), EINVAL);
	CHECK_ERR(ioctl(fd, NIOCREGIF, (void *)BAD_POINTER), EFAULT);
	r.nr_version = 99; /* no upper limit */
	r.nr_arg3 = 5;
	CHECK_EQ(ioctl(fd, NIOCREGIF, &r), 0);
	CHECK(r.nr_tx_rings == 1 && r.nr_rx_slots > 0 && r.nr_memsize > 0 && r.nr_arg2 > 0);
	CHECK_EQ(r.nr_arg3, 5);
	p.reg.nr_memsize = r.nr_memsize;
	p.reg.nr_offset = r.nr_offset;
	ct_map(&p);
	CHECK(p.nifp->ni_bufs_head != 0);
	/* Commands are fine on a bound descriptor */
	r = legacy("valect:leg", NETMAP_BDG_VNET_HDR);
	r.nr_arg1 = 12;
	CHECK_EQ(ioctl(fd, NIOCREGIF, &r), 0);
	r = legacy("valect:leg", NETMAP_VNET_HDR_GET);
	CHECK_EQ(ioctl(fd, NIOCREGIF, &r), 0);
	CHECK_EQ(r.nr_arg1, 12);
	r = legacy("valect:leg", 0);
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), EBUSY);
}

static void
legacy_pipe_and_info(void)
{
	struct nmreq r = legacy("ctleg", 0);
	struct ct_port a = {.fd = ct_open_device()}, b = {.fd = ct_open_device()};

	r.nr_flags = NR_REG_PIPE_MASTER;
	r.nr_ringid = 3;
	CHECK_EQ(ioctl(a.fd, NIOCREGIF, &r), 0);
	a.reg.nr_memsize = r.nr_memsize;
	a.reg.nr_offset = r.nr_offset;
	r = legacy("ctleg", 0);
	r.nr_flags = NR_REG_PIPE_SLAVE;
	r.nr_ringid = 3;
	CHECK_EQ(ioctl(b.fd, NIOCREGIF, &r), 0);
	b.reg.nr_memsize = r.nr_memsize;
	b.reg.nr_offset = r.nr_offset;
	ct_map(&a);
	ct_map(&b);
	ct_send(&a, 0, 3);
	CHECK_EQ(ct_recv(&b), 3);
	r = legacy("", 0);
	CHECK_EQ(ioctl(a.fd, NIOCGINFO, &r), 0);
	CHECK(r.nr_memsize > 0);
	r = legacy("nosuchif", 0);
	CHECK_ERR(ioctl(a.fd, NIOCGINFO, &r), ENXIO);
}

static void
legacy_commands(void)
{
	struct nmreq r = legacy("valelg:p", NETMAP_BDG_NEWIF);
	struct nm_ifreq ifr = {.nifr_name = "vale0"};
	const int fd = ct_open_device();

	r = legacy("ctlegp", NETMAP_BDG_NEWIF);
	r.nr_tx_rings = r.nr_rx_rings = 2;
	CHECK_EQ(ioctl(fd, NIOCREGIF, &r), 0);
	r = legacy("ctlegp", NETMAP_BDG_NEWIF);
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), EEXIST);
	r = legacy("ctlegp", NETMAP_BDG_DELIF);
	CHECK_EQ(ioctl(fd, NIOCREGIF, &r), 0);
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), ENXIO);
	r = legacy("x", NETMAP_PT_HOST_CREATE);
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), ENOMEM);
	r = legacy("x", NETMAP_BDG_REGOPS);
	CHECK_ERR(ioctl(fd, NIOCREGIF, &r), EINVAL);
	CHECK_ERR(ioctl(fd, NIOCCONFIG, &ifr), EINVAL);
	r = legacy("valenone", NETMAP_BDG_LIST);
	CHECK_ERR(ioctl(fd, NIOCGINFO, &r), ENOENT);
}

#define EXT_SIZE (32u << 20)

/* REGISTER both ends of a pipe in memory of ours, and use it. */
static void
use_extmem(char *mem, const char *what)
{
	struct nmreq_opt_extmem o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM,
		.nro_usrptr = (uintptr_t)mem,
		.nro_info.nr_memsize = EXT_SIZE,
		.nro_info.nr_ring_pool_objtotal = 32,
		.nro_info.nr_if_pool_objtotal = 8};
	struct ct_port a = {.reg = {.nr_mode = NR_REG_ALL_NIC}}, b = a;
	struct nmreq_header h = header(NETMAP_REQ_REGISTER, what, &a.reg);

	a.fd = ct_open_device();
	h.nr_options = (uintptr_t)&o;
	CHECK_EQ(ioctl(a.fd, NIOCCTRL, &h), 0);
	CHECK_EQ(o.nro_opt.nro_status, 0);
	CHECK(o.nro_info.nr_mem_id == a.reg.nr_mem_id && o.nro_info.nr_buf_pool_objtotal > 100);
	CHECK(a.reg.nr_memsize <= EXT_SIZE);
	/* Our own memory is the region; no mmap is needed */
	a.nifp = NETMAP_IF(mem, a.reg.nr_offset);
	a.tx = NETMAP_TXRING(a.nifp, 0);
	CHECK(a.tx->num_slots > 0);
	b = ct_port((snprintf(h.nr_name, sizeof(h.nr_name), "%s", what),
			    *strchr(h.nr_name, '{') = '}', h.nr_name),
		0);
	CHECK_EQ(b.reg.nr_mem_id, a.reg.nr_mem_id);
	ct_send(&a, 7, 2);
	CHECK_EQ(ct_recv(&b), 2);
	CHECK_EQ(close(a.fd), 0);
	CHECK_EQ(close(b.fd), 0);
}

static void
extmem_memfd(void)
{
	const int fd = memfd_create("ct", MFD_ALLOW_SEALING);
	char *mem;

	CHECK_EQ(ftruncate(fd, EXT_SIZE), 0);
	mem = mmap(NULL, EXT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	use_extmem(mem, "ctext1{1");
	CHECK_ERR(ftruncate(fd, 4096), EPERM); /* sealed: it can't be taken away any more */
}

static void
extmem_file(void)
{
	char path[] = "/tmp/ct-extmem-XXXXXX";
	const int fd = mkstemp(path);
	char *mem;

	CHECK_EQ(ftruncate(fd, EXT_SIZE), 0);
	mem = mmap(NULL, EXT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK_EQ(close(fd), 0); /* it is found by its path */
	use_extmem(mem, "ctext2{1");
	CHECK_EQ(unlink(path), 0);
}

static void
extmem_anonymous(void)
{
	char *mem =
		mmap(NULL, EXT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(mem + EXT_SIZE - 4096, 'e', 4096);
	use_extmem(mem, "ctext3{1");
}

static void
extmem_errors(void)
{
	char *mem = mmap(NULL, EXT_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct nmreq_opt_extmem o = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM,
		.nro_usrptr = (uintptr_t)mem,
		.nro_info.nr_memsize = EXT_SIZE};
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_header h = header(NETMAP_REQ_REGISTER, "ctext4{1", &reg);
	const int fd = ct_open_device();

	h.nr_options = (uintptr_t)&o;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EFAULT); /* not writable */
	CHECK_EQ(o.nro_opt.nro_status, EFAULT);
	CHECK_EQ(munmap(mem + EXT_SIZE / 2, 4096), 0);
	CHECK_EQ(mprotect(mem, EXT_SIZE / 2, PROT_READ | PROT_WRITE), 0);
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EFAULT); /* a hole */
	o.nro_usrptr = 0;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), EFAULT);
	o.nro_usrptr = (uintptr_t)mem;
	o.nro_info.nr_memsize = 8192;
	CHECK_ERR(ioctl(fd, NIOCCTRL, &h), ENOMEM); /* too small for anything */
	CHECK_EQ(o.nro_opt.nro_status, ENOMEM);
}

static const struct ct_case cases[] = {
	{"header_checks", header_checks},
	{"option_checks", option_checks},
	{"register_with_a_strange_option_is_undone", register_with_a_strange_option_is_undone},
	{"register_errors", register_errors},
	{"legacy_register", legacy_register},
	{"legacy_pipe_and_info", legacy_pipe_and_info},
	{"legacy_commands", legacy_commands},
	{"extmem_memfd", extmem_memfd},
	{"extmem_file", extmem_file},
	{"extmem_anonymous", extmem_anonymous},
	{"extmem_errors", extmem_errors},
};

int
main(int argc, char **argv)
{
	return ct_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
