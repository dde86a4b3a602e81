/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One NIC of a guest that does not exist: a front end with its queues, and a thread that sends,
 * receives, echoes or pings.
 *
 * The thread owns everything but the words marked otherwise. Others ask it to do something with
 * nic_command(); it answers between two batches. When nothing is to be done it spins for a while,
 * as configured, then asks for calls and sleeps, as a guest does.
 */
#ifndef TEST_VM_NIC_H
#define TEST_VM_NIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "frames.h"
#include "frontend.h"
#include "histogram.h"
#include "netdrv.h"

#define NIC_MAX_STREAMS 1024u
#define NIC_SPIN_ALWAYS UINT64_MAX

enum nic_role {
	NIC_IDLE, /* what comes is counted all the same */
	NIC_SEND,
	NIC_RECEIVE,
	NIC_BOTH,
	NIC_ECHO,
	NIC_PING,
};

struct nic_config {
	struct fe_config fe;
	enum nic_role role;
	int cpu; /* -1: any */
	struct fr_kind kind;
	uint32_t rx_buf, rx_seg, tx_seg; /* bytes; *_seg 0: one descriptor a buffer */
	uint32_t burst;
	double rate;	 /* frames a second and queue pair, or pings; 0: no limit */
	uint64_t count;	 /* frames to send per queue pair; 0: no end */
	uint64_t window; /* frames under way to the peer at most; 0: no limit */
	uint64_t spin_ns;
	bool reconnects;
	bool starts_paused;
};

enum nic_request {
	NIC_REQ_NONE,
	NIC_REQ_RUN,
	NIC_REQ_PAUSE,
	NIC_REQ_REBOOT,	   /* stop, fresh rings, start */
	NIC_REQ_STOP_CONT, /* stop, start where it was */
	NIC_REQ_DROP,	   /* hang up, connect again */
	NIC_REQ_LOG_BEGIN,
	NIC_REQ_LOG_CHECK, /* compares, then ends the log */
	NIC_REQ_DRAIN,	   /* all that was sent has come back */
};

/* What a log check has found, in pages of what the device writes. */
struct nic_log_result {
	uint64_t changed, marked, missed;
};

struct nic {
	struct nic_config c;
	unsigned int index;
	struct nic *peer; /* for the window; may be NULL */
	struct fe fe;
	struct nd_queue rx[FE_MAX_PAIRS], tx[FE_MAX_PAIRS];
	struct fr_kind kind[FE_MAX_PAIRS];
	uint64_t seq[FE_MAX_PAIRS];
	uint64_t t0; /* of the rate */
	uint64_t t0_sent[FE_MAX_PAIRS];
	struct fr_account *account[NIC_MAX_STREAMS];
	struct histogram rtt; /* ns */
	uint64_t ping_sent_ns, ping_due_ns;
	bool ping_is_out;
	/* sent minus received is counted from here; when it last moved */
	uint64_t window_base, window_ns;
	uint64_t window_seen;
	uint8_t *snapshot; /* of guest memory, while a log is kept */
	struct nic_log_result log_result;

	/* Counters that others may read at any time. W: thread */
	uint64_t sent, received, bytes, foreign, pings_lost, echo_dropped, reconnects, stalls,
		sleeps;

	/* W: both, by exchange */
	uint32_t sleeps_for_window;
	uint32_t request; /* enum nic_request; W: nic_command(), thread clears it */
	int request_ret;
	uint32_t is_up;	    /* W: thread: the rings are started */
	uint32_t must_end;  /* W: others */
	uint32_t is_paused; /* W: thread */
	const char *fault;  /* W: thread, once */
	int wake_fd;
	pthread_t thread;
	bool has_thread;
};

/**
 * nic_open() - memory, connection and rings, in the caller's thread
 *
 * Return: 0, or a negative errno with n->fe.error saying why.
 */
int nic_open(struct nic *n, const struct nic_config *c, unsigned int index);

/* Begin. Return: 0 or -EAGAIN. */
int nic_run(struct nic *n);
void nic_close(struct nic *n);

/* Have the thread do it. Return: 0, -ETIMEDOUT, or what it was answered. */
int nic_command(struct nic *n, enum nic_request request, int timeout_ms);

/* CPU time of the thread, s. */
double nic_cpu_s(const struct nic *n);

/* For the thread's parts. */
void nic_fault(struct nic *n, const char *what);
int nic_handle_request(struct nic *n, enum nic_request request);
int nic_reconnect(struct nic *n);
void nic_on_frame(void *arg, const struct nd_frame *f);
void nic_send_echoes(struct nic *n);
uint64_t nic_now_ns(void);

#endif
