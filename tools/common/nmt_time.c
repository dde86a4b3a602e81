/* SPDX-License-Identifier: BSD-2-Clause */
/* Sleeping until an absolute time: see nmt_time.h. */
#include "nmt_time.h"

#include <errno.h>
#include <sys/prctl.h>

int
nmt_sleep_until_ns(uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / NMT_NS_PER_S),
		.tv_nsec = (long)(deadline_ns % NMT_NS_PER_S),
	};

	return -clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

int
nmt_set_timer_slack_ns(uint64_t slack_ns)
{
	/* 0 would mean "back to the default". */
	if (prctl(PR_SET_TIMERSLACK, (unsigned long)(slack_ns == 0 ? 1 : slack_ns)) != 0)
		return -errno;
	return 0;
}
