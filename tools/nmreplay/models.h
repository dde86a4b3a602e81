/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The link that nmreplay pretends to have: bandwidth, delay and loss, and the random numbers behind
 * the last two.
 *
 * A model is a plain value made from the text of one option (-B, -D, -L) and constant from then on.
 * Times are ns, bandwidths bit/s. Everything here is arithmetic: no clock, no port.
 *
 * Thread: any, as long as each struct nmr_rng has one user.
 */
#ifndef MODELS_H_
#define MODELS_H_

#include <stdbool.h>
#include <stdint.h>

#include "nmt_err.h"

/*
 * Bits that Ethernet adds to a frame: preamble, start delimiter and inter-frame gap (160), CRC
 * (32).
 * Source: spec 24.5 ("ether" adds framing), IEEE 802.3 for the sum.
 */
#define NMR_ETHER_FRAMING_BITS 192u

/* Longest delay, and longest total of a schedule: 10 years leave 64-bit ns far from overflow. */
#define NMR_TIME_MAX_NS (UINT64_C(10) * 365 * 86400 * 1000000000)

/* Fastest bandwidth that can be asked for: a 60-byte frame in half a nanosecond. */
#define NMR_BPS_MAX 1e12

struct nmr_rng {
	uint64_t state;
};

enum nmr_bw_kind {
	NMR_BW_REAL,	 /* when the capture says, divided by a speed */
	NMR_BW_CONSTANT, /* so many bits of frame a second */
	NMR_BW_ETHER,	 /* so many bits of frame and framing a second */
};

struct nmr_bw {
	enum nmr_bw_kind kind;
	double bps;   /* NMR_BW_CONSTANT, NMR_BW_ETHER; 0: without limit */
	double speed; /* NMR_BW_REAL; above 0 */
};

enum nmr_delay_kind {
	NMR_DELAY_CONSTANT,
	NMR_DELAY_UNIFORM,
	NMR_DELAY_EXP,
};

struct nmr_delay {
	enum nmr_delay_kind kind;
	uint64_t min_ns; /* constant: the delay */
	uint64_t max_ns; /* NMR_DELAY_UNIFORM, inclusive */
	uint64_t avg_ns; /* NMR_DELAY_EXP, above min_ns */
};

enum nmr_loss_kind {
	NMR_LOSS_PACKET, /* each packet with the same probability */
	NMR_LOSS_BIT,	 /* each bit; one wrong bit loses its packet */
};

struct nmr_loss {
	enum nmr_loss_kind kind;
	double rate; /* 0 to 1 */
};

/** nmr_rng_seed() - start a sequence; equal seeds give equal sequences on every machine */
void nmr_rng_seed(struct nmr_rng *rng, uint64_t seed);

/**
 * nmr_rng_u64() - the next 64 random bits. Source: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
 */
uint64_t nmr_rng_u64(struct nmr_rng *rng);

/** nmr_rng_unit() - a number from 0 (included) to 1 (excluded), a multiple of 2^-53 */
double nmr_rng_unit(struct nmr_rng *rng);

/**
 * nmr_bw_parse() - read "bps", "constant,bps", "ether,bps" or "real[,speed]"
 * @out: written on success only
 *
 * bps has an optional suffix K, M, G and may be 0 for "without limit". Return: 0, -EINVAL, -ERANGE.
 */
int nmr_bw_parse(const char *text, struct nmr_bw *out, struct nmt_err *err);

/**
 * nmr_delay_parse() - read "t", "constant,t", "uniform,min,max" or "exp,min,avg"
 * @out: written on success only
 *
 * Times are in seconds unless they end in s, m, u or n. Return: 0, -EINVAL, -ERANGE.
 */
int nmr_delay_parse(const char *text, struct nmr_delay *out, struct nmt_err *err);

/** nmr_loss_parse() - read "x", "plr,x" or "ber,x", x from 0 to 1. Return: 0, -EINVAL, -ERANGE. */
int nmr_loss_parse(const char *text, struct nmr_loss *out, struct nmt_err *err);

/** nmr_bw_bits() - what a frame of @len bytes occupies on the link; NMR_BW_REAL: its bits */
uint64_t nmr_bw_bits(const struct nmr_bw *bw, uint32_t len);

/** nmr_delay_is_random(), nmr_loss_is_random() - does a drawing differ from the one before? */
bool nmr_delay_is_random(const struct nmr_delay *delay);
bool nmr_loss_is_random(const struct nmr_loss *loss);

/** nmr_delay_draw() - the delay of the next packet, in ns; takes one number if random, else none */
uint64_t nmr_delay_draw(const struct nmr_delay *delay, struct nmr_rng *rng);

/** nmr_loss_probability() - of a frame of @len bytes to be lost */
double nmr_loss_probability(const struct nmr_loss *loss, uint32_t len);

/** nmr_loss_draw() - is the next packet, of @len bytes, lost? */
bool nmr_loss_draw(const struct nmr_loss *loss, uint32_t len, struct nmr_rng *rng);

#endif /* MODELS_H_ */
