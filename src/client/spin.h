/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking a little longer before sleeping.
 *
 * A sleep and its wake-up cost both sides: several microseconds on bare metal, 20 to 100 in a
 * virtual machine, more where others want the processors. A thread whose peer is about to answer does better to look again for at most that long.
 * It never costs more than twice the optimum, and it must cost an idle program nothing, so it is
 * earned:
 *
 *   credit > 0   look for up to the price of a wake-up before the sleep. Success: +1 (up to MAX).
 *                Failure: -1.
 *   credit == 0  sleep at once. SHORT sleeps in a row that lasted less than the price earn one
 *                credit; each time that this credit is lost again without a success, the number of
 *                short sleeps that it takes doubles.
 *
 * A program that waits for rare packets sleeps long and so never looks.
 *
 * The price is what wake-ups of this process have lately taken, from the waker's signal to the
 * sleeper's return, and a quarter more; at least the default and at most UNM_SPIN_LEARNT_MAX_US.
 * UNETMAP_SPIN_US (0 ... 1000) sets it instead, 0 turns looking off.
 */
#ifndef UNM_CLIENT_SPIN_H
#define UNM_CLIENT_SPIN_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Less than a wake-up costs is a trap: two sides that sleep for each other never find out that they
 * need not. Joined veth ends in a virtual machine, each value five times: with 20, three runs at 8
 * and two at 400 Mpps; with 40, 50, 60 and 80 all at 290 to 420. The same trap with 50 where
 * a third program wants a processor and a wake-up takes 70 to 150: medians of 21 Mpps on a pipe and 3
 * on VALE, with a price that is learnt 55 and 10.
 */
#define UNM_SPIN_DEFAULT_US    50u
#define UNM_SPIN_LEARNT_MAX_US 250u
/*
 * Of brokers and their clients: three sides share the processors, so looking (which yields) costs
 * them little, and each wait of one is for the work of two. Two processors, 60-byte frames: 3 Mpps
 * with 20, 24 to 29 with 100
 */
#define UNM_SPIN_BROKER_US 100u
#define UNM_SPIN_MAX_US	   1000u

/* State of one thread. All zero at the start. */
struct unm_spin {
	uint32_t credit;
	uint32_t short_sleeps; /* in a row, without credit */
	uint32_t price;	       /* short sleeps that the next credit takes, 0 = the minimum */
};

/* From now on @us is what holds unless UNETMAP_SPIN_US is set. */
void unm_spin_set_default(uint32_t us);

/* A wake-up took @us. Any thread; what the process has learnt is common to all. */
void unm_spin_woken(uint32_t us);

/* How long this thread may look now, in nanoseconds; 0 = not at all. */
uint64_t unm_spin_budget_ns(const struct unm_spin *s);

/* The looking ended: something was there, or not. */
void unm_spin_result(struct unm_spin *s, bool found);

/* A sleep of @ns is over. Only to be told of sleeps that were not preceded by looking. */
void unm_spin_slept(struct unm_spin *s, uint64_t ns);

#endif
