/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proves: filters by what Linux knows of a packet choose frames of netmap ports by what is true of
 * these, for each direction, alone and with other terms; tags in frames are found also by a program
 * that looks for them beside the frame first, as libpcap makes it for a live interface; and what a
 * port can't tell is refused, by name, and leaves the program that was there.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pcap/pcap.h>
#include <string.h>

#include "pcap/program.h"

#define FRAME_LEN 60

/* Loads that only Linux has: linux/filter.h, SKF_AD_OFF and on. */
#define AD_PROTOCOL	    0xfffff000u
#define AD_VLAN_TAG	    0xfffff02cu
#define AD_VLAN_TAG_PRESENT 0xfffff030u

enum frame {
	UDP,
	TCP,
	TAG_5, /* UDP behind a tag */
	N_FRAMES,
};

static uint8_t frames[N_FRAMES][FRAME_LEN];

static void
fill_ip(uint8_t *ip, uint8_t proto)
{
	ip[0] = 0x45;
	ip[9] = proto;
}

static int
make_frames(void **state)
{
	(void)state;
	memcpy(frames[UDP] + 12, "\x08\x00", 2);
	fill_ip(frames[UDP] + 14, 17);
	memcpy(frames[TCP] + 12, "\x08\x00", 2);
	fill_ip(frames[TCP] + 14, 6);
	memcpy(frames[TAG_5] + 12, "\x81\x00\x60\x05\x08\x00", 6);
	fill_ip(frames[TAG_5] + 18, 17);
	return 0;
}

static int
set_text(struct unm_program *p, const char *text, char *why)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, 262144);
	struct bpf_program compiled;
	int ret;

	assert_non_null(dead);
	assert_int_equal(pcap_compile(dead, &compiled, text, 1, PCAP_NETMASK_UNKNOWN), 0);
	ret = unm_program_set(p, &compiled, why);
	pcap_freecode(&compiled);
	pcap_close(dead);
	return ret;
}

static bool
matches(const struct unm_program *p, enum frame frame, bool is_tx)
{
	return bpf_filter(unm_program_insns(p, is_tx), frames[frame], FRAME_LEN, FRAME_LEN) != 0;
}

/* Which frames a filter chooses: a bit each, of those received and of those sent. */
#define BIT(frame) (1u << (frame))
#define ALL	   (BIT(N_FRAMES) - 1)

static void
test_texts(void **state)
{
	static const struct {
		const char *text;
		unsigned int rx, tx;
	} cases[] = {
		{"inbound", ALL, 0},
		{"outbound", 0, ALL},
		{"not inbound", 0, ALL},
		{"not outbound", ALL, 0},
		{"inbound or outbound", ALL, ALL},
		{"udp and inbound", BIT(UDP), 0},
		{"outbound and not udp", 0, BIT(TCP) | BIT(TAG_5)},
		{"(udp and inbound) or (tcp and outbound)", BIT(UDP), BIT(TCP)},
		{"inbound and vlan 5", BIT(TAG_5), 0},
		{"vlan", BIT(TAG_5), BIT(TAG_5)},
		{"not vlan", BIT(UDP) | BIT(TCP), BIT(UDP) | BIT(TCP)},
		{"vlan 5", BIT(TAG_5), BIT(TAG_5)},
		{"vlan 6", 0, 0},
		{"vlan and udp", BIT(TAG_5), BIT(TAG_5)},
		{"vlan and tcp", 0, 0},
		{"less 60", ALL, ALL},
		{"greater 61", 0, 0},
	};
	char why[UNM_PROGRAM_WHY_SIZE];
	struct unm_program p = {0};
	unsigned int rx, tx;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(set_text(&p, cases[i].text, why), 0);
		for (k = rx = tx = 0; k < N_FRAMES; k++) {
			rx |= matches(&p, k, false) ? BIT(k) : 0;
			tx |= matches(&p, k, true) ? BIT(k) : 0;
		}
		if (rx != cases[i].rx || tx != cases[i].tx)
			fail_msg("%s: received %x, sent %x", cases[i].text, rx, tx);
	}
	unm_program_clear(&p);
	assert_null(unm_program_insns(&p, false));
	assert_null(unm_program_insns(&p, true));
}

/* "vlan 5" as it is compiled for a live interface: beside the frame, else in it. */
static void
test_tag_beside_the_frame(void **state)
{
	struct bpf_insn insns[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AD_VLAN_TAG_PRESENT),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 4, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x8100, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 14),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AD_VLAN_TAG),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 5, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, 262144),
	};
	const struct bpf_program program = {sizeof(insns) / sizeof(insns[0]), insns};
	char why[UNM_PROGRAM_WHY_SIZE];
	struct unm_program p = {0};

	(void)state;
	assert_int_equal(unm_program_set(&p, &program, why), 0);
	assert_true(matches(&p, TAG_5, false));
	assert_true(matches(&p, TAG_5, true));
	assert_false(matches(&p, UDP, false));
	assert_int_equal(insns[0].k, AD_VLAN_TAG_PRESENT); /* it is the caller's */
	unm_program_clear(&p);
}

static void
test_refused(void **state)
{
	struct bpf_insn insns[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AD_PROTOCOL),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct bpf_program program = {sizeof(insns) / sizeof(insns[0]), insns};
	char why[UNM_PROGRAM_WHY_SIZE];
	struct unm_program p = {0};

	(void)state;
	assert_int_equal(set_text(&p, "inbound", why), 0);
	assert_int_equal(set_text(&p, "ifindex 3", why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "ifindex"));
	assert_int_equal(set_text(&p, "udp and not ifindex 3", why), -EOPNOTSUPP);
	assert_int_equal(unm_program_set(&p, &program, why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "-4096"));
	insns[0].k = 0xfff00000u; /* of Linux's network header */
	assert_int_equal(unm_program_set(&p, &program, why), -EOPNOTSUPP);
	assert_true(matches(&p, UDP, false));
	assert_false(matches(&p, UDP, true));
	unm_program_clear(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_tag_beside_the_frame),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, make_frames, NULL);
}
