/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzes the walkers of virtqueues: any guest memory, both ring formats, any order of peeks and
 * pushes, memory that changes in between, starts on any in-flight part or record. Regions are allocations of
 * their own, so that AddressSanitizer sees a step outside of them. Checked besides: parts lie in
 * the regions, lengths add up, and no more is under way than the ring has room for.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "vm/inflight.h"
#include "vm/log.h"
#include "vm/record.h"
#include "vm/vq.h"

#define UADDR	 UINT64_C(0x7f0000000000)
#define MAX_PART 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz {
	struct fuzz_head head;
	struct unm_guest_mem mem;
	struct unm_vq_config c;
	struct unm_vq *q;
	struct unm_vq_chain under_way[FUZZ_MAX_NUM + 1]; /* peeked, not pushed */
	unsigned int n_under_way;
};

static void
drop_line(void *arg, const char *line)
{
	(void)arg, (void)line;
}

static void
must(bool ok)
{
	if (!ok)
		abort();
}

static void
add_region(struct unm_guest_mem *m, uint64_t ofs, uint64_t size, const uint8_t *image)
{
	struct unm_guest_region *r = &m->region[m->n_regions++];

	r->d = (struct unm_guest_region_desc){FUZZ_GPA + ofs, size, UADDR + ofs, ofs};
	r->host = aligned_alloc(FUZZ_PAGE, size);
	must(r->host != NULL);
	memcpy(r->host, image + ofs, size);
}

/* About this ring, and of any contents. */
static struct unm_record *
make_record(const struct unm_vq_config *c, const uint8_t *image)
{
	const size_t from = offsetof(struct unm_record, state);
	struct unm_record *r = calloc(1, sizeof(*r));

	must(r != NULL);
	r->ring = (struct unm_record_ring){.version = UNM_RECORD_VERSION,
		.num = c->num,
		.desc_uaddr = c->desc_uaddr,
		.avail_uaddr = c->avail_uaddr,
		.used_uaddr = c->used_uaddr};
	memcpy((uint8_t *)r + from, image + FUZZ_INFLIGHT, FUZZ_PAGE - from);
	return r;
}

static void
set_up(struct fuzz *f, const uint8_t *image)
{
	const bool is_packed = f->head.flags & FUZZ_F_PACKED;
	const uint16_t num =
		(uint16_t)(is_packed ? f->head.num % FUZZ_MAX_NUM + 1 : 1u << f->head.num % 6);

	unm_guest_mem_init(&f->mem);
	add_region(&f->mem, 0, FUZZ_PAGE, image);
	add_region(&f->mem, FUZZ_PAGE, 2 * FUZZ_PAGE, image);
	f->c = (struct unm_vq_config){
		.num = num,
		.is_packed = is_packed,
		.has_event_idx = f->head.flags & FUZZ_F_EVENT,
		.has_indirect = f->head.flags & FUZZ_F_TABLES,
		.in_order = f->head.flags & FUZZ_F_ORDER,
		.desc_uaddr = UADDR,
		.avail_uaddr = UADDR + FUZZ_AVAIL,
		.used_uaddr = UADDR + FUZZ_USED,
		.log_gpa = UINT64_MAX,
		.base = f->head.base,
	};
	if (f->head.flags & FUZZ_F_INFLIGHT) {
		f->c.inflight = aligned_alloc(UNM_INFLIGHT_ALIGN, UNM_INFLIGHT_PART(num));
		must(f->c.inflight != NULL);
		memcpy(f->c.inflight, image + FUZZ_INFLIGHT, UNM_INFLIGHT_PART(num));
	}
	if (f->head.flags & FUZZ_F_RECORD)
		f->c.record = make_record(&f->c, image);
}

static void
check_chain(const struct fuzz *f, const struct unm_vq_chain *c)
{
	uint64_t len[2] = {0, 0};
	unsigned int p, i;

	must((unsigned int)c->n_read + c->n_write <= MAX_PART);
	must(c->n_descs > 0 && c->n_descs <= f->c.num);
	for (p = 0; p < (unsigned int)c->n_read + c->n_write; p++) {
		const struct unm_vq_part *part = &c->part[p];
		bool inside = false;

		for (i = 0; i < f->mem.n_regions; i++) {
			const struct unm_guest_region *r = &f->mem.region[i];
			const uint64_t ofs = part->gpa - r->d.gpa;

			inside |= part->len > 0 && ofs < r->d.size &&
				  part->len <= r->d.size - ofs && part->data == r->host + ofs;
		}
		must(inside);
		if (p >= c->n_read)
			memset(part->data, 0x55, part->len);
		len[p >= c->n_read] += part->len;
	}
	must(len[0] == c->read_len && len[1] == c->write_len);
}

static void
peek(struct fuzz *f)
{
	struct unm_vq_part part[MAX_PART];
	struct unm_vq_chain *c = &f->under_way[f->n_under_way];
	int ret;

	ret = unm_vq_peek(f->q, c, part, MAX_PART);
	if (ret > 0) {
		must(f->n_under_way < f->c.num);
		check_chain(f, c);
		f->n_under_way++;
	} else {
		must((ret == 0) == unm_vq_is_running(f->q));
	}
}

static void
push(struct fuzz *f, uint32_t written)
{
	if (f->n_under_way == 0)
		return;
	unm_vq_push(f->q, &f->under_way[0], written);
	f->n_under_way--;
	memmove(f->under_way, f->under_way + 1, f->n_under_way * sizeof(f->under_way[0]));
}

/* A server dies, or stops in good order, and the next one begins. Return: it could. */
static bool
restart(struct fuzz *f, bool in_order)
{
	f->n_under_way = 0;
	if (f->q != NULL && in_order)
		f->c.base = unm_vq_stop(f->q);
	unm_vq_free(f->q);
	f->q = unm_vq_new(&f->mem, "fuzz");
	must(f->q != NULL);
	return unm_vq_start(f->q, &f->c) == 0;
}

/* Run the script. A broken queue stays where it is until it is started again. */
static void
run(struct fuzz *f, const uint8_t *ops, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const uint8_t arg = ops[i] >> 3;

		if (!unm_vq_is_running(f->q) && ops[i] % 8 != FUZZ_RESTART)
			continue;
		switch ((enum fuzz_op)(ops[i] % 8)) {
		case FUZZ_PEEK:
			peek(f);
			break;
		case FUZZ_PUSH:
			push(f, arg);
			break;
		case FUZZ_FLUSH:
			unm_vq_flush(f->q);
			break;
		case FUZZ_UNPEEK:
			if (f->n_under_way > 0)
				unm_vq_unpeek(f->q, &f->under_way[--f->n_under_way]);
			break;
		case FUZZ_REWIND:
			unm_vq_rewind(f->q);
			f->n_under_way = 0;
			break;
		case FUZZ_KICKS:
			unm_vq_kicks_off(f->q);
			unm_vq_kicks_on(f->q);
			break;
		case FUZZ_STORE:
			if (n - i > 2) {
				f->mem.region[0].host[ops[i + 1] * 16 % FUZZ_PAGE + arg % 16] =
					ops[i + 2];
				i += 2;
			}
			break;
		case FUZZ_RESTART:
			if (!restart(f, arg % 2))
				return;
			break;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t image[FUZZ_MEM];
	struct fuzz f = {0};
	size_t n_ops;

	if (size < sizeof(f.head))
		return 0;
	unm_vm_set_log(drop_line, NULL);
	memcpy(&f.head, data, sizeof(f.head));
	data += sizeof(f.head);
	size -= sizeof(f.head);
	n_ops = f.head.n_ops < size ? f.head.n_ops : size;
	memset(image, 0, sizeof(image));
	memcpy(image, data + n_ops, size - n_ops < sizeof(image) ? size - n_ops : sizeof(image));
	set_up(&f, image);
	if (restart(&f, false))
		run(&f, data, n_ops);
	unm_vq_free(f.q);
	free(f.mem.region[0].host);
	free(f.mem.region[1].host);
	free(f.c.inflight);
	free(f.c.record);
	return 0;
}
