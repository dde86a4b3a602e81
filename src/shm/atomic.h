/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory order, spelled once.
 *
 * Words that several processes share are read and written through these helpers only, so that each
 * access is a single one (the compiler may neither split nor repeat it) and its order can be
 * searched for. A plain "relaxed" access is for words that are hints, or that a lock protects. The
 * pairs that carry meaning are named where they are used: see kring.h (positions) and wake.h (the
 * sleep/wake pair of full fences).
 */
#ifndef UNM_SHM_ATOMIC_H
#define UNM_SHM_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define UNM_READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define UNM_WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)

/* What the writer stored before its unm_store_release() of the same word is seen after this. */
static inline uint32_t
unm_load_acquire(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* Pairs with unm_load_acquire() of the same word. */
static inline void
unm_store_release(uint32_t *p, uint32_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint64_t
unm_load_acquire64(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void
unm_store_release64(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline uint32_t
unm_exchange(uint32_t *p, uint32_t v)
{
	return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}

/* Clear the bits of @p that are not in @mask. Return: what it was. */
static inline uint32_t
unm_fetch_and(uint32_t *p, uint32_t mask)
{
	return __atomic_fetch_and(p, mask, __ATOMIC_SEQ_CST);
}

static inline bool
unm_cas(uint32_t *p, uint32_t expected, uint32_t v)
{
	return __atomic_compare_exchange_n(
		p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Statistics with a single writer at a time: no lock prefix, yet no torn value for readers. */
static inline void
unm_count(uint64_t *p, uint64_t n)
{
	__atomic_store_n(p, __atomic_load_n(p, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

/* Order an earlier store before a later load: the only fence that x86 needs too. */
static inline void
unm_full_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void
unm_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
