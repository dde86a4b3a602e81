/* SPDX-License-Identifier: BSD-2-Clause */
/* CPUs: how many this process may use, and tying a thread to one of them. */
#ifndef NMT_AFFINITY_H_
#define NMT_AFFINITY_H_

/** nmt_n_cpus() - how many CPUs are online, at least 1. Thread: any. */
int nmt_n_cpus(void);

/**
 * nmt_pin_self() - let the calling thread run on one CPU only
 * @cpu: kernel's CPU number
 *
 * Thread: any. Return: 0, -EINVAL no such CPU, or not one this process may use.
 */
int nmt_pin_self(int cpu);

#endif /* NMT_AFFINITY_H_ */
