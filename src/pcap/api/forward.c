/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of libpcap that have nothing to do with a netmap port: a file, a name, a filter. Each
 * calls the system's one. See real.h.
 */
#include "pcap/api/real.h"

#define FORWARD(type, name, params, args)                                                          \
	type name params                                                                           \
	{                                                                                          \
		type(*real) params = unm_pcap_real_get(PCAP_REAL_ID_##name);                       \
                                                                                                   \
		return real args;                                                                  \
	}
#define FORWARD_VOID(name, params, args)                                                           \
	void name params                                                                           \
	{                                                                                          \
		void(*real) params = unm_pcap_real_get(PCAP_REAL_ID_##name);                       \
                                                                                                   \
		real args;                                                                         \
	}

FORWARD(u_int, bpf_filter, (const struct bpf_insn *i, const u_char *p, u_int wire, u_int len),
	(i, p, wire, len))
FORWARD(int, bpf_validate, (const struct bpf_insn *i, int len), (i, len))
FORWARD(char *, bpf_image, (const struct bpf_insn *i, int n), (i, n))
FORWARD_VOID(bpf_dump, (const struct bpf_program *p, int option), (p, option))

FORWARD(int, pcap_init, (u_int opts, char *errbuf), (opts, errbuf))
FORWARD(const char *, pcap_lib_version, (void), ())
FORWARD(char *, pcap_lookupdev, (char *errbuf), (errbuf))
FORWARD_VOID(pcap_freealldevs, (pcap_if_t * devs), (devs))

FORWARD(int, pcap_compile_nopcap,
	(int snaplen, int linktype, struct bpf_program *p, const char *text, int optimize,
		bpf_u_int32 mask),
	(snaplen, linktype, p, text, optimize, mask))
FORWARD_VOID(pcap_freecode, (struct bpf_program * p), (p))
FORWARD(int, pcap_offline_filter,
	(const struct bpf_program *p, const struct pcap_pkthdr *h, const u_char *data),
	(p, h, data))

FORWARD(pcap_t *, pcap_open_dead, (int linktype, int snaplen), (linktype, snaplen))
FORWARD(pcap_t *, pcap_open_dead_with_tstamp_precision,
	(int linktype, int snaplen, u_int precision), (linktype, snaplen, precision))
FORWARD(pcap_t *, pcap_open_offline, (const char *file, char *errbuf), (file, errbuf))
FORWARD(pcap_t *, pcap_open_offline_with_tstamp_precision,
	(const char *file, u_int precision, char *errbuf), (file, precision, errbuf))
FORWARD(pcap_t *, pcap_fopen_offline, (FILE * fp, char *errbuf), (fp, errbuf))
FORWARD(pcap_t *, pcap_fopen_offline_with_tstamp_precision,
	(FILE * fp, u_int precision, char *errbuf), (fp, precision, errbuf))

FORWARD_VOID(pcap_dump, (u_char * user, const struct pcap_pkthdr *h, const u_char *data),
	(user, h, data))
FORWARD_VOID(pcap_dump_close, (pcap_dumper_t * d), (d))
FORWARD(FILE *, pcap_dump_file, (pcap_dumper_t * d), (d))
FORWARD(int, pcap_dump_flush, (pcap_dumper_t * d), (d))
FORWARD(long, pcap_dump_ftell, (pcap_dumper_t * d), (d))
FORWARD(int64_t, pcap_dump_ftell64, (pcap_dumper_t * d), (d))

FORWARD(int, pcap_datalink_name_to_val, (const char *name), (name))
FORWARD(const char *, pcap_datalink_val_to_name, (int dlt), (dlt))
FORWARD(const char *, pcap_datalink_val_to_description, (int dlt), (dlt))
FORWARD(const char *, pcap_datalink_val_to_description_or_dlt, (int dlt), (dlt))
FORWARD_VOID(pcap_free_datalinks, (int *list), (list))

FORWARD(int, pcap_tstamp_type_name_to_val, (const char *name), (name))
FORWARD(const char *, pcap_tstamp_type_val_to_name, (int type), (type))
FORWARD(const char *, pcap_tstamp_type_val_to_description, (int type), (type))
FORWARD_VOID(pcap_free_tstamp_types, (int *list), (list))

FORWARD(const char *, pcap_statustostr, (int status), (status))
FORWARD(const char *, pcap_strerror, (int error), (error))

FORWARD(u_char *, pcap_ether_aton, (const char *text), (text))
FORWARD(u_char *, pcap_ether_hostton, (const char *name), (name))
FORWARD(struct pcap_etherent *, pcap_next_etherent, (FILE * fp), (fp))
FORWARD(bpf_u_int32 **, pcap_nametoaddr, (const char *name), (name))
FORWARD(struct addrinfo *, pcap_nametoaddrinfo, (const char *name), (name))
FORWARD(bpf_u_int32, pcap_nametonetaddr, (const char *name), (name))
FORWARD(int, pcap_nametoport, (const char *name, int *port, int *proto), (name, port, proto))
FORWARD(int, pcap_nametoportrange, (const char *name, int *first, int *last, int *proto),
	(name, first, last, proto))
FORWARD(int, pcap_nametoproto, (const char *name), (name))
FORWARD(int, pcap_nametoeproto, (const char *name), (name))
FORWARD(int, pcap_nametollc, (const char *name), (name))
