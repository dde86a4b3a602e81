/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nmreplay tells: once a second while it plays, and at the end.
 *
 * Periods go to standard error in upstream's two lines (spec 24.5),
 *
 *	RX -> TX maxq M round G
 *	plr nominal N actual A
 *
 * The turn of RX packets came in the period, TX of them were sent, the others lost; M is the most
 * that were due and not sent at any moment of it; G is the pass over the trace. N is the loss
 * expected from the model, A that of the whole run so far. The final report goes to standard
 * output. With JSON, each period and the start and the end are one object on a line of standard
 * output; the lines on standard error stay.
 *
 * Thread: main.
 */
#ifndef REPORT_H_
#define REPORT_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_json.h"
#include "options.h"
#include "schedule.h"
#include "trace.h"
#include "transmit.h"

struct nmr_report {
	bool json;
	struct nmt_json out;
	const struct nmr_schedule *sched; /* borrowed */
	struct nmr_counters last;	  /* at the end of the period before */
	uint64_t max_queue;		  /* of the whole run */
	uint64_t max_late_ns;		  /* likewise */
};

/** nmr_report_start() - say what is going to be played. Return: 0, -EIO no output. */
int nmr_report_start(struct nmr_report *report, const struct nmr_options *opt,
	const struct nmr_trace *trace, const struct nmr_schedule *sched);

/** nmr_report_period() - say what happened since the last call; @time_ns since the first packet */
int nmr_report_period(struct nmr_report *report, const struct nmr_counters *now, uint64_t time_ns);

/**
 * nmr_report_end() - the final report
 * @total: counters of the whole run, the two maxima since the last nmr_report_period()
 * @n_undelivered: slots that the port had not taken at the end
 */
int nmr_report_end(struct nmr_report *report, const struct nmr_counters *total, uint64_t time_ns,
	uint32_t n_undelivered);

#endif /* REPORT_H_ */
