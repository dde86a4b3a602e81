/* SPDX-License-Identifier: BSD-2-Clause */
/* What vm-fe has to say: rates of a window, and the accounts of each NIC. */
#include "vm_fe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nmt_json.h"
#include "shm/atomic.h"

/* User, nice, system and stolen time of these CPUs since boot. */
static double
busy_s(const struct vm_fe *v)
{
	unsigned long long user, nice, system, idle, iowait, irq, softirq, steal, sum = 0;
	FILE *f = fopen("/proc/stat", "re");
	char line[256];
	unsigned int i;
	int cpu;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "cpu%d %llu %llu %llu %llu %llu %llu %llu %llu", &cpu, &user,
			    &nice, &system, &idle, &iowait, &irq, &softirq, &steal) != 9)
			continue;
		for (i = 0; i < v->n_busy_cpus; i++)
			if (v->busy_cpu[i] == cpu)
				sum += user + nice + system + steal;
	}
	if (f != NULL)
		fclose(f);
	return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

static double
process_cpu_s(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 0;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
vm_fe_sample(const struct vm_fe *v, struct vm_fe_sample *s)
{
	unsigned int i;

	s->time_s = (double)nic_now_ns() / 1e9;
	for (i = 0; i < v->n_nics; i++) {
		const struct nic *n = &v->nic[i];

		s->sent[i] = UNM_READ_ONCE(n->sent);
		s->received[i] = UNM_READ_ONCE(n->received);
		s->bytes[i] = UNM_READ_ONCE(n->bytes);
		s->kicks[i] = UNM_READ_ONCE(n->fe.kicks);
		s->sleeps[i] = UNM_READ_ONCE(n->sleeps);
	}
	for (i = 0; i < v->n_nics; i++)
		s->cpu_s[i] = nic_cpu_s(&v->nic[i]);
	for (i = 0; i < v->n_watched; i++)
		s->watched_s[i] = process_cpu_s(v->watched[i]);
	s->busy_s = busy_s(v);
}

static void
report_streams(struct nmt_json *j, const struct nic *n)
{
	unsigned int i;

	nmt_json_begin_array(j, "streams");
	for (i = 0; i < NIC_MAX_STREAMS; i++) {
		const struct fr_account *a = n->account[i];

		if (a == NULL)
			continue;
		nmt_json_begin_object(j, NULL);
		nmt_json_u64(j, "stream", i);
		nmt_json_u64(j, "first", a->first);
		nmt_json_u64(j, "next", a->next);
		nmt_json_u64(j, "got", a->got);
		nmt_json_u64(j, "bytes", a->bytes);
		nmt_json_u64(j, "missing", fr_missing(a));
		nmt_json_u64(j, "doubled", a->doubled);
		nmt_json_u64(j, "late", a->late);
		nmt_json_u64(j, "damaged", a->damaged);
		nmt_json_u64(j, "header_changed", a->header_changed);
		nmt_json_u64(j, "runs", a->runs);
		nmt_json_end_object(j);
	}
	nmt_json_end_array(j);
}

static void
report_times(struct nmt_json *j, const struct histogram *h)
{
	nmt_json_begin_object(j, "rtt_ns");
	nmt_json_u64(j, "samples", h->n);
	nmt_json_u64(j, "median", histogram_quantile(h, 0.5));
	nmt_json_u64(j, "p90", histogram_quantile(h, 0.9));
	nmt_json_u64(j, "p99", histogram_quantile(h, 0.99));
	nmt_json_u64(j, "p999", histogram_quantile(h, 0.999));
	nmt_json_u64(j, "max", h->max);
	nmt_json_end_object(j);
}

static void
report_state(struct nmt_json *j, const struct nic *n)
{
	char features[24];
	unsigned int i;
	uint64_t tx_calls = 0, rx_calls = 0, tx_out = 0, rx_posted = 0, odd = 0;

	for (i = 0; i < n->c.fe.n_pairs; i++) {
		rx_calls += n->rx[i].calls;
		tx_calls += n->tx[i].calls;
		tx_out += n->tx[i].n_bufs - n->tx[i].n_free;
		rx_posted += n->rx[i].ring->vd.n_in_flight;
		odd += n->tx[i].ring->vd.odd_lens + n->rx[i].odd_num_buffers;
	}
	snprintf(features, sizeof(features), "0x%llx", (unsigned long long)n->fe.features);
	nmt_json_str(j, "features", features);
	nmt_json_bool(j, "up", UNM_READ_ONCE(n->is_up) != 0);
	nmt_json_str(j, "fault", __atomic_load_n(&n->fault, __ATOMIC_ACQUIRE));
	nmt_json_u64(j, "foreign", UNM_READ_ONCE(n->foreign));
	nmt_json_u64(j, "pings_lost", UNM_READ_ONCE(n->pings_lost));
	nmt_json_u64(j, "echo_dropped", UNM_READ_ONCE(n->echo_dropped));
	nmt_json_u64(j, "reconnects", UNM_READ_ONCE(n->reconnects));
	nmt_json_u64(j, "stalls", UNM_READ_ONCE(n->stalls));
	nmt_json_u64(j, "odd", odd);
	nmt_json_u64(j, "tx_out", tx_out);
	nmt_json_u64(j, "rx_posted", rx_posted);
	nmt_json_u64(j, "rx_calls", rx_calls);
	nmt_json_u64(j, "tx_calls", tx_calls);
}

static void
report_nic(struct nmt_json *j, const struct vm_fe *v, unsigned int i, const struct vm_fe_sample *b,
	const struct vm_fe_sample *a)
{
	const struct nic *n = &v->nic[i];
	const double s = a->time_s - b->time_s;

	nmt_json_begin_object(j, NULL);
	nmt_json_str(j, "path", n->c.fe.path);
	nmt_json_u64(j, "sent", a->sent[i]);
	nmt_json_u64(j, "received", a->received[i]);
	nmt_json_u64(j, "window_sent", a->sent[i] - b->sent[i]);
	nmt_json_u64(j, "window_received", a->received[i] - b->received[i]);
	nmt_json_double(j, "mpps_sent", (double)(a->sent[i] - b->sent[i]) / s / 1e6, 6);
	nmt_json_double(j, "mpps_received", (double)(a->received[i] - b->received[i]) / s / 1e6, 6);
	nmt_json_double(j, "gbit_received", (double)(a->bytes[i] - b->bytes[i]) * 8 / s / 1e9, 6);
	nmt_json_double(j, "cpu_s", a->cpu_s[i] - b->cpu_s[i], 6);
	nmt_json_u64(j, "kicks", a->kicks[i] - b->kicks[i]);
	nmt_json_u64(j, "sleeps", a->sleeps[i] - b->sleeps[i]);
	report_state(j, n);
	report_times(j, &n->rtt);
	report_streams(j, n);
	nmt_json_end_object(j);
}

void
vm_fe_report(struct vm_fe *v, const struct vm_fe_sample *before, const struct vm_fe_sample *after)
{
	struct nmt_json j;
	unsigned int i;

	nmt_json_init(&j, stdout);
	nmt_json_begin_object(&j, NULL);
	nmt_json_double(&j, "seconds", after->time_s - before->time_s, 6);
	nmt_json_double(&j, "busy_s", after->busy_s - before->busy_s, 3);
	nmt_json_begin_array(&j, "nics");
	for (i = 0; i < v->n_nics; i++)
		report_nic(&j, v, i, before, after);
	nmt_json_end_array(&j);
	nmt_json_begin_array(&j, "watched_cpu_s");
	for (i = 0; i < v->n_watched; i++)
		nmt_json_double(&j, NULL, after->watched_s[i] - before->watched_s[i], 6);
	nmt_json_end_array(&j);
	nmt_json_end_object(&j);
	nmt_json_newline(&j);
}
