/* SPDX-License-Identifier: BSD-2-Clause */
/* A capture in memory: see trace.h. */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Data of many packets in one allocation; larger than any packet of a capture. */
#define CHUNK_SIZE   (UINT32_C(1) << 20)
#define PACKETS_INIT 4096

struct nmr_chunk {
	struct nmr_chunk *next;
	uint32_t len; /* bytes of data in use */
	uint8_t data[CHUNK_SIZE];
};
_Static_assert(CHUNK_SIZE >= NMT_CAPTURE_CAPLEN_MAX, "any packet fits into an empty chunk");

uint64_t
nmr_memory_available(void)
{
	FILE *in = fopen("/proc/meminfo", "re");
	uint64_t kib = 0;
	char line[128];

	if (in == NULL)
		return 0;
	while (fgets(line, sizeof(line), in) != NULL) /* some 50 lines, from the kernel */
		if (sscanf(line, "MemAvailable: %" SCNu64 " kB", &kib) == 1)
			break;
	fclose(in); /* read only: nothing can be lost */
	return kib * 1024;
}

/* Count @size more bytes, if the limit allows. */
static int
take_memory(struct nmr_trace *trace, uint64_t limit, uint64_t size, struct nmt_err *err)
{
	if (size > limit || trace->memory_len > limit - size)
		return nmt_err_set(err, -EFBIG,
			"more than %" PRIu64 " MB of memory needed for its packets (%" PRIu32
			" read so far); raise the limit with --max-memory, or split the file",
			limit / 1000000, trace->n_packets);
	trace->memory_len += size;
	return 0;
}

/* Room for one more entry in the table. */
static int
grow_packets(struct nmr_trace *trace, uint64_t limit, struct nmt_err *err)
{
	size_t size = trace->packets_size == 0 ? PACKETS_INIT : trace->packets_size * 2;
	struct nmr_packet *packets;
	int error;

	if (trace->n_packets < trace->packets_size)
		return 0;
	if (trace->n_packets == UINT32_MAX)
		return nmt_err_set(
			err, -EFBIG, "more than %" PRIu32 " packets; split the file", UINT32_MAX);
	error = take_memory(trace, limit, (size - trace->packets_size) * sizeof(*packets), err);
	if (error != 0)
		return error;
	packets = realloc(trace->packets, size * sizeof(*packets));
	if (packets == NULL)
		return nmt_err_set(err, -ENOMEM, "no memory for %zu packets", size);
	trace->packets = packets;
	trace->packets_size = size;
	return 0;
}

/* A place for @len bytes of data, or NULL with *error and a message. */
static uint8_t *
alloc_data(struct nmr_trace *trace, uint64_t limit, uint32_t len, int *error, struct nmt_err *err)
{
	struct nmr_chunk *chunk = trace->chunks;
	uint8_t *data;

	if (chunk == NULL || len > CHUNK_SIZE - chunk->len) {
		*error = take_memory(trace, limit, sizeof(*chunk), err);
		if (*error != 0)
			return NULL;
		chunk = malloc(sizeof(*chunk));
		if (chunk == NULL) {
			*error = nmt_err_set(
				err, -ENOMEM, "no memory for packet %" PRIu32, trace->n_packets);
			return NULL;
		}
		chunk->next = trace->chunks;
		chunk->len = 0;
		trace->chunks = chunk;
	}
	data = chunk->data + chunk->len;
	chunk->len += len;
	return data;
}

/* The time of a packet in the trace, and what there is to count about it. */
static uint64_t
packet_time(struct nmr_trace *trace, const struct nmt_capture_packet *pkt)
{
	uint64_t last_ns = trace->span_ns;
	uint64_t time_ns;

	if (!pkt->has_time) {
		trace->n_timeless++;
		return last_ns;
	}
	if (!trace->has_first_time) {
		trace->has_first_time = true;
		trace->first_time_ns = pkt->time_ns;
		return last_ns;
	}
	/* As unsigned numbers the difference is right even where it does not fit a signed one. */
	time_ns = (uint64_t)pkt->time_ns - (uint64_t)trace->first_time_ns;
	if (pkt->time_ns < trace->first_time_ns || time_ns < last_ns) {
		trace->n_backward++;
		return last_ns;
	}
	return time_ns;
}

static int
add_packet(struct nmr_trace *trace, const struct nmt_capture_packet *pkt, uint64_t limit,
	struct nmt_err *err)
{
	uint32_t len = pkt->caplen - pkt->fcs_len;
	uint8_t *data;
	int error;

	if (pkt->linktype != NMT_CAPTURE_LINKTYPE_ETHERNET)
		return nmt_err_set(err, -EPROTONOSUPPORT,
			"offset %" PRIu64 ": a packet of link type %u (interface %" PRIu32
			"); only Ethernet (1) can be sent",
			pkt->offset, pkt->linktype, pkt->if_idx);
	if (len == 0) {
		trace->n_empty++;
		return 0;
	}
	error = grow_packets(trace, limit, err);
	if (error != 0)
		return error;
	data = alloc_data(trace, limit, len, &error, err);
	if (data == NULL)
		return error;
	memcpy(data, pkt->data, len);
	trace->span_ns = packet_time(trace, pkt);
	trace->packets[trace->n_packets++] =
		(struct nmr_packet){.data = data, .len = len, .time_ns = trace->span_ns};
	trace->n_bytes += len;
	if (len > trace->max_len)
		trace->max_len = len;
	trace->n_fcs += pkt->fcs_len > 0;
	trace->n_cut += pkt->caplen < pkt->len;
	return 0;
}

int
nmr_trace_load(
	const char *path, uint64_t memory_limit, struct nmr_trace *trace, struct nmt_err *err)
{
	struct nmr_trace loading = {0};
	struct nmt_capture *cap = NULL;
	struct nmt_capture_packet pkt;
	int error = nmt_capture_open(path, &cap, err);

	if (error != 0)
		return error;
	loading.format = nmt_capture_format(cap);
	/* Ends with the file, or with the memory limit. */
	while ((error = nmt_capture_next(cap, &pkt, &loading.truncation)) == 1) {
		error = add_packet(&loading, &pkt, memory_limit, err);
		if (error != 0)
			goto out;
	}
	loading.is_truncated = error == -ENODATA;
	if (error != 0 && !loading.is_truncated) {
		*err = loading.truncation;
	} else if (loading.n_packets > 0) {
		error = 0;
	} else {
		error = -ENODATA;
		if (loading.is_truncated)
			*err = loading.truncation;
		else
			nmt_err_set(err, error, "it holds no packet that could be sent");
	}
out:
	nmt_capture_close(cap);
	if (error != 0)
		nmr_trace_free(&loading);
	else
		*trace = loading;
	return error;
}

void
nmr_trace_free(struct nmr_trace *trace)
{
	struct nmr_chunk *next;

	for (struct nmr_chunk *chunk = trace->chunks; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	free(trace->packets);
	memset(trace, 0, sizeof(*trace));
}
