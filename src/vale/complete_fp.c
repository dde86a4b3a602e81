/* SPDX-License-Identifier: BSD-2-Clause */
/* See complete_fp.h. */
#include "vale/complete_fp.h"

#include "vale/bytes.h"
#include "vale/offload_fp.h"

#define HEAD	  160u /* bytes with all headers, two VLAN tags and some extensions of IPv6 */
#define IPV6_LEN  40u
#define PROTO_TCP 6
#define PROTO_UDP 17

/* Sum of @len bytes from @ofs on; there are as many. */
static uint16_t
sum_of(const struct iovec *iov, uint32_t ofs, uint32_t len)
{
	struct unm_csum c = {0};

	for (; len > 0; iov++) { /* pieces: at most as many as there are */
		const uint32_t left = (uint32_t)iov->iov_len - ofs;
		const uint32_t run = len < left ? len : left;

		unm_csum_add(&c, unm_csum_bytes((const uint8_t *)iov->iov_base + ofs, run), run);
		len -= run;
		ofs = 0;
	}
	return unm_csum_fold(c.sum);
}

bool
unm_csum_complete(const struct iovec *iov, uint32_t n)
{
	uint8_t head[HEAD];
	const uint32_t have = iov->iov_len < HEAD ? (uint32_t)iov->iov_len : HEAD;
	struct unm_offload_place at;
	uint32_t total = 0, csum, end, i;
	uint64_t pseudo;
	uint16_t field;
	int proto;

	for (i = 0; i < n; i++)
		total += (uint32_t)iov[i].iov_len;
	memcpy(head, iov->iov_base, have);
	proto = unm_offload_locate(&at, head, have, total);
	if (proto == PROTO_TCP)
		csum = at.l4 + UNM_TCP_CSUM_OFFSET;
	else if (proto == PROTO_UDP)
		csum = at.l4 + UNM_UDP_CSUM_OFFSET;
	else
		return false;
	if (have < 2 || csum > have - 2)
		return false;
	/* Behind what the IP header says there may be padding. */
	end = at.l3 + (at.is_v6 ? IPV6_LEN + unm_get_be16(head + at.l3 + 4)
				: unm_get_be16(head + at.l3 + 2));
	if (end < csum + 2 || end > total)
		return false;
	pseudo = (at.is_v6 ? unm_csum_pseudo6(head + at.l3, (uint8_t)proto)
			   : unm_csum_pseudo4(head + at.l3, (uint8_t)proto)) +
		 htons((uint16_t)(end - at.l4));
	memcpy(&field, head + csum, sizeof(field));
	if (field == 0 || field != unm_csum_fold(pseudo))
		return false;
	field = (uint16_t)~sum_of(iov, at.l4, end - at.l4);
	if (field == 0)
		field = 0xffff; /* of UDP, 0 is "none"; to TCP they are the same */
	unm_put_raw16((uint8_t *)iov->iov_base + csum, field);
	return true;
}
