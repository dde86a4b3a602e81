/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nmctl vm-args: how to plug a virtual machine into a port.
 *
 * Prints the command line of the device server and of QEMU, User-Mode Linux, or the XML for
 * libvirt. It only writes: neither netmapd nor the port has to be there. A command line is kept as
 * words until the end, and quoted for the shell only when it is printed; inside a word QEMU's own
 * rule holds, a comma in a value is doubled.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "nmctl.h"
#include "nmt_json.h"
#include "nmt_open.h"
#include "nmt_pkt.h"
#include "nmt_units.h"
#include "vm/net_features.h"

#define MAX_WORDS   32
#define MAX_PAIRS   64
#define DEFAULT_MIB 1024
#define MAX_MIB	    (1u << 24)
#define NAME_SIZE   64

struct command_line {
	const struct nmt_cli *cli;
	char *word[MAX_WORDS];
	unsigned int n;
};

/* What there is here to run a guest's code by; the guest may run elsewhere. */
enum kvm {
	KVM_NONE,
	KVM_PVM, /* opens, but guests' kernels do not boot: docs/vm.md, "Limits" */
	KVM_USABLE,
};

struct wishes {
	const char *port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char mac[18];
	unsigned int queues;
	unsigned int mib;
	unsigned int mtu; /* 0: not said */
	unsigned int vectors;
	bool has_vectors; /* they were said */
	enum kvm kvm;
	bool qemu_listens;
};

static void add(struct command_line *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void
add(struct command_line *c, const char *fmt, ...)
{
	va_list ap;

	if (c->n == MAX_WORDS)
		nmt_die(c->cli, "vm-args: more than %d words", MAX_WORDS);
	va_start(ap, fmt);
	if (vasprintf(&c->word[c->n], fmt, ap) < 0)
		nmt_die(c->cli, "out of memory");
	va_end(ap);
	c->n++;
}

static void
clear(struct command_line *c)
{
	while (c->n > 0)
		free(c->word[--c->n]);
}

/* @text with each comma doubled, as QEMU reads values. @out has twice the room. */
static const char *
qemu_value(const char *text, char *out)
{
	char *p = out;

	for (; *text != '\0'; text++) {
		*p++ = *text;
		if (*text == ',')
			*p++ = ',';
	}
	*p = '\0';
	return out;
}

static void
print_quoted(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%+=:,./_-";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*word);
	}
	putchar('\'');
}

/* A line for each option with its value. */
static void
print_command(const struct command_line *c)
{
	unsigned int i;

	for (i = 0; i < c->n; i++) {
		if (i > 0)
			fputs(c->word[i][0] == '-' ? " \\\n    " : " ", stdout);
		print_quoted(c->word[i]);
	}
	putchar('\n');
}

static void
json_command(struct nmt_json *j, const char *key, const struct command_line *c)
{
	unsigned int i;

	nmt_json_begin_array(j, key);
	for (i = 0; i < c->n; i++)
		nmt_json_str(j, NULL, c->word[i]);
	nmt_json_end_array(j);
}

/* @connects_again: the front end does, whichever side listens. */
static void
server_command(struct command_line *c, const struct wishes *w, bool connects_again)
{
	add(c, "nm-vhost-user");
	add(c, "--socket");
	add(c, "%s", w->path);
	add(c, "--port");
	add(c, "%s", w->port);
	if (w->queues > 1) {
		add(c, "--queues");
		add(c, "%u", w->queues);
	}
	if (w->mtu > 0) {
		add(c, "--mtu");
		add(c, "%u", w->mtu);
	}
	if (w->qemu_listens)
		add(c, "--client");
	if (connects_again)
		add(c, "--hang-up");
}

static void
qemu_command(struct command_line *c, const struct wishes *w)
{
	char path[2 * sizeof(w->path)], mtu[32] = "";

	if (w->mtu > 0) /* QEMU makes up the configuration space by itself */
		snprintf(mtu, sizeof(mtu), ",host_mtu=%u", w->mtu);
	add(c, "qemu-system-x86_64");
	add(c, "-machine");
	add(c, "q35,accel=%s,memory-backend=mem", w->kvm == KVM_PVM ? "tcg" : "kvm:tcg");
	add(c, "-m");
	add(c, "%u", w->mib);
	add(c, "-object");
	add(c, "memory-backend-memfd,id=mem,size=%uM,share=on", w->mib);
	add(c, "-chardev");
	add(c, "socket,id=nic0,path=%s,%s", qemu_value(w->path, path),
		w->qemu_listens ? "server=on,wait=off" : "reconnect=1");
	add(c, "-netdev");
	add(c, "vhost-user,id=net0,chardev=nic0,queues=%u", w->queues);
	add(c, "-device");
	add(c, "virtio-net-pci,netdev=net0,mac=%s,mq=%s,vectors=%u%s", w->mac,
		w->queues > 1 ? "on" : "off", w->vectors, mtu);
}

static void
uml_command(struct command_line *c, const struct wishes *w)
{
	add(c, "linux.uml");
	add(c, "mem=%uM", w->mib);
	add(c, "virtio_uml.device=%s:1", w->path);
}

/* Into @out, of @size bytes, what stands for @text in XML. */
static const char *
xml_value(const char *text, char *out, size_t size)
{
	static const char *const entity[] = {['&'] = "&amp;",
		['<'] = "&lt;",
		['>'] = "&gt;",
		['\''] = "&apos;",
		['"'] = "&quot;"};
	size_t len = 0;

	for (; *text != '\0' && len + sizeof("&quot;") < size; text++) {
		const unsigned char ch = (unsigned char)*text;
		const char *e = ch < sizeof(entity) / sizeof(entity[0]) ? entity[ch] : NULL;

		if (e != NULL)
			len += (size_t)snprintf(out + len, size - len, "%s", e);
		else
			out[len++] = *text;
	}
	out[len] = '\0';
	return out;
}

/*
 * What of the vectors goes to libvirt, which has no word for them: a default of QEMU's, for all
 * virtio-net cards of the domain. For a card of several queues libvirt sets them by itself.
 */
static bool
sets_vectors(const struct wishes *w)
{
	return w->queues == 1 && (w->has_vectors || w->vectors == 0);
}

/* Return: allocated. */
static char *
libvirt_xml(const struct nmt_cli *cli, const struct wishes *w)
{
	char path[sizeof(w->path) * sizeof("&quot;")];
	char queues[48] = "", mtu[48] = "", command_line[192] = "";
	char *text;

	if (sets_vectors(w))
		snprintf(command_line, sizeof(command_line),
			"  <qemu:commandline>\n"
			"    <qemu:arg value='-global'/>\n"
			"    <qemu:arg value='virtio-net-pci.vectors=%u'/>\n"
			"  </qemu:commandline>\n",
			w->vectors);
	if (w->queues > 1)
		snprintf(queues, sizeof(queues), "      <driver queues='%u'/>\n", w->queues);
	if (w->mtu > 0)
		snprintf(mtu, sizeof(mtu), "      <mtu size='%u'/>\n", w->mtu);
	if (asprintf(&text,
		    "<domain%s>\n"
		    "  <memory unit='MiB'>%u</memory>\n"
		    "  <memoryBacking>\n"
		    "    <source type='memfd'/>\n"
		    "    <access mode='shared'/>\n"
		    "  </memoryBacking>\n"
		    "  <devices>\n"
		    "    <interface type='vhostuser'>\n"
		    "      <mac address='%s'/>\n"
		    "      <source type='unix' path='%s' mode='%s'>%s</source>\n"
		    "      <model type='virtio'/>\n"
		    "%s%s"
		    "    </interface>\n"
		    "  </devices>\n"
		    "%s"
		    "</domain>\n",
		    sets_vectors(w) ? " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
				    : "",
		    w->mib, w->mac, xml_value(w->path, path, sizeof(path)),
		    w->qemu_listens ? "server" : "client",
		    w->qemu_listens ? "" : "<reconnect enabled='yes' timeout='1'/>", queues, mtu,
		    command_line) < 0)
		nmt_die(cli, "out of memory");
	return text;
}

/* A directory below /tmp can be anybody's: who owns it could be the guest's card. */
static void
check_tmp_dir(const struct nmctl *n, const char *dir)
{
	struct stat st;

	if (lstat(dir, &st) != 0)
		return; /* the server makes it, or says why it can't */
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		nmt_usage_error(n->cli, "vm-args: %s is not yours alone: use path=SOCKET", dir);
}

/* FNV-1a */
static uint32_t
hash_of(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 16777619u;
	return h;
}

/*
 * The port's name without what is awkward in a file name. What stands before its first colon has no
 * "-", so "vale0-a" is "vale0:a" alone; if more had to be replaced, a hash of the name is added.
 */
static void
file_name(const char *port, char *out, size_t size)
{
	const char *colon = strchr(port, ':');
	bool is_changed = false;
	char name[NAME_SIZE];
	size_t i;

	snprintf(name, sizeof(name), "%s", port);
	for (i = 0; name[i] != '\0'; i++) {
		if (isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL)
			continue;
		is_changed = is_changed || colon == NULL || i != (size_t)(colon - port);
		name[i] = '-';
	}
	if (is_changed)
		snprintf(out, size, "%s-%08x", name, hash_of(port));
	else
		snprintf(out, size, "%s", name);
}

/* Where the socket is when nobody says: the user's run-time directory, else netmapd's. */
static void
default_path(const struct nmctl *n, struct wishes *w)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	char name[NAME_SIZE + sizeof("-12345678")], dir[32];
	int len;

	file_name(w->port, name, sizeof(name));
	if (run != NULL && run[0] == '/') {
		len = snprintf(w->path, sizeof(w->path), "%s/%s.sock", run, name);
	} else if (geteuid() == 0) {
		len = snprintf(w->path, sizeof(w->path), "/run/%s.sock", name);
	} else {
		snprintf(dir, sizeof(dir), "/tmp/unetmap-%u", (unsigned int)geteuid());
		check_tmp_dir(n, dir);
		len = snprintf(w->path, sizeof(w->path), "%s/%s.sock", dir, name);
	}
	if (len < 0 || (size_t)len >= sizeof(w->path))
		nmt_usage_error(n->cli, "vm-args: the socket's path is too long: use path=SOCKET");
}

/*
 * All guests of a QEMU that is not told have the same address: so one is made from the port's name,
 * in the range that QEMU's own are in.
 */
static void
default_mac(struct wishes *w)
{
	const uint32_t h = hash_of(w->port);

	snprintf(w->mac, sizeof(w->mac), "52:54:00:%02x:%02x:%02x", h >> 16 & 0xff, h >> 8 & 0xff,
		h & 0xff);
}

static void
take_mac(const struct nmctl *n, struct wishes *w, const char *text)
{
	struct nmt_err err;
	uint8_t mac[6];

	if (nmt_parse_station_mac(text, mac, &err) != 0)
		nmt_usage_error(n->cli, "vm-args: mac: %s", err.text);
	snprintf(w->mac, sizeof(w->mac), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
}

static void
take_path(const struct nmctl *n, struct wishes *w, const char *text)
{
	if (text[0] != '/' || strlen(text) >= sizeof(w->path))
		nmt_usage_error(n->cli,
			"vm-args: path: '%.120s' must begin with / and have at most %zu characters",
			text, sizeof(w->path) - 1);
	memcpy(w->path, text, strlen(text) + 1);
}

static void
take_queues(const struct nmctl *n, struct wishes *w, const char *text)
{
	w->queues = (unsigned int)nmt_cli_u64(n->cli, "queues", text, 1, MAX_PAIRS);
}

static void
take_memory(const struct nmctl *n, struct wishes *w, const char *text)
{
	const size_t len = strcspn(text, "MmGg");
	const uint64_t unit = text[len] == 'G' || text[len] == 'g' ? 1024 : 1;
	char number[NMT_NUM_SIZE];
	uint64_t val;

	snprintf(number, sizeof(number), "%.*s", (int)(len < sizeof(number) ? len : 0), text);
	if ((text[len] != '\0' && text[len + 1] != '\0') ||
		nmt_parse_u64(number, 1, MAX_MIB / unit, &val, NULL) != 0)
		nmt_usage_error(n->cli,
			"memory: '%.40s' is not 1 to %u MiB (256 and 256M are MiB, 2G is GiB)",
			text, MAX_MIB);
	w->mib = (unsigned int)(val * unit);
}

static void
take_mtu(const struct nmctl *n, struct wishes *w, const char *text)
{
	w->mtu = (unsigned int)nmt_cli_u64(n->cli, "mtu", text, UNM_NET_MIN_MTU, UINT16_MAX);
}

static void
take_vectors(const struct nmctl *n, struct wishes *w, const char *text)
{
	w->vectors = (unsigned int)nmt_cli_u64(n->cli, "vectors", text, 0, 2048);
	w->has_vectors = true;
}

static void
take_mode(const struct nmctl *n, struct wishes *w, const char *text)
{
	w->qemu_listens = strcmp(text, "client") == 0;
	if (!w->qemu_listens && strcmp(text, "server") != 0)
		nmt_usage_error(n->cli, "vm-args: mode is server or client, not '%s'", text);
}

static const struct {
	const char *name;
	void (*take)(const struct nmctl *, struct wishes *, const char *);
} keys[] = {
	{"queues", take_queues},
	{"memory", take_memory},
	{"mtu", take_mtu},
	{"vectors", take_vectors},
	{"mac", take_mac},
	{"path", take_path},
	{"mode", take_mode},
};

/* One key=value word. @said: bit i: keys[i] has been there. */
static void
take_word(const struct nmctl *n, struct wishes *w, unsigned int *said, const char *word)
{
	const char *value = strchr(word, '=');
	size_t len, i;

	if (value == NULL)
		nmt_usage_error(n->cli, "vm-args: '%s' is not of the form key=value", word);
	len = (size_t)(value - word);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (strlen(keys[i].name) != len || memcmp(word, keys[i].name, len) != 0)
			continue;
		if (*said & 1u << i)
			nmt_usage_error(n->cli, "vm-args: %s is there twice", keys[i].name);
		*said |= 1u << i;
		keys[i].take(n, w, value + 1);
		return;
	}
	nmt_usage_error(n->cli,
		"vm-args: '%s': queues, memory, mtu, vectors, mac, path or mode is expected", word);
}

/* The device server opens the port as all programs do: what they would not take is refused here. */
static void
take_port(const struct nmctl *n, struct wishes *w, const char *name)
{
	struct nmport_d *port;
	struct nmt_err err;
	bool is_monitor;

	if (name[0] == '\0' || strlen(name) >= NAME_SIZE)
		nmt_usage_error(
			n->cli, "vm-args: a port's name has 1 to %d characters", NAME_SIZE - 1);
	port = nmt_port_prepare(name, &err);
	if (port == NULL)
		nmt_usage_error(n->cli, "vm-args: %s", err.text);
	is_monitor = (port->reg.nr_flags & (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)) != 0;
	nmport_undo_prepare(port);
	if (is_monitor)
		nmt_usage_error(n->cli,
			"vm-args: %s only monitors a port: a guest needs one of "
			"its own",
			name);
	w->port = name;
}

static enum kvm
find_kvm(void)
{
	if (access("/dev/kvm", R_OK | W_OK) != 0)
		return KVM_NONE;
	return access("/sys/module/kvm_pvm", F_OK) == 0 ? KVM_PVM : KVM_USABLE;
}

/* Words that do not go together, or not with the kind of guest. */
static void
check_words(const struct nmctl *n, const struct wishes *w)
{
	if (n->uml && (w->queues > 1 || w->qemu_listens))
		nmt_usage_error(
			n->cli, "vm-args: User-Mode Linux has one queue pair, and connects");
	if (n->uml && strchr(w->path, ':') != NULL)
		nmt_usage_error(n->cli, "vm-args: User-Mode Linux takes no path with a colon");
	if (n->uml && w->has_vectors)
		nmt_usage_error(n->cli, "vm-args: User-Mode Linux has no vectors");
	if (n->libvirt && w->has_vectors && w->queues > 1)
		nmt_usage_error(n->cli, "vm-args: libvirt chooses the vectors of a card with "
					"several queues by itself");
}

static void
take_words(const struct nmctl *n, struct wishes *w)
{
	unsigned int i, said = 0;

	take_port(n, w, n->args[1]);
	for (i = 2; i < n->n_args; i++)
		take_word(n, w, &said, n->args[i]);
	if (w->path[0] == '\0')
		default_path(n, w);
	if (w->mac[0] == '\0')
		default_mac(w);
	w->kvm = find_kvm();
	if (!w->has_vectors)
		w->vectors = w->kvm == KVM_USABLE ? 2 * w->queues + 2 : 0;
	check_words(n, w);
}

static int
print_json(const struct nmctl *n, const struct wishes *w, const struct command_line *server,
	const struct command_line *guest, const char *xml)
{
	struct nmt_json j;

	nmt_json_init(&j, stdout);
	nmt_json_begin_object(&j, NULL);
	nmt_json_str(&j, "port", w->port);
	nmt_json_str(&j, "socket", w->path);
	nmt_json_str(&j, "mac", w->mac);
	json_command(&j, "server", server);
	if (n->libvirt)
		nmt_json_str(&j, "libvirt", xml);
	else
		json_command(&j, n->uml ? "uml" : "qemu", guest);
	nmt_json_end_object(&j);
	return nmt_json_newline(&j) == 0 ? 0 : 1;
}

/* What is not as usual where there is no KVM. */
static void
print_kvm(const struct nmctl *n, const struct wishes *w)
{
	if (w->kvm == KVM_USABLE)
		return;
	if (w->kvm == KVM_PVM)
		printf("# /dev/kvm is kvm_pvm's here, with which guests do not boot: so %s\n",
			n->libvirt ? "<domain type='qemu'>" : "accel=tcg");
	if (n->libvirt && w->queues > 1)
		printf("# There is no KVM here, and QEMU 7.2 crashes then with the vectors that "
		       "libvirt gives a card of several queues\n");
	else if (w->vectors > 0)
		printf("# There is no KVM here, and QEMU 7.2 crashes then with vectors other than "
		       "0\n");
	else
		printf("# vectors=0: one interrupt line, as QEMU 7.2 without KVM can't have "
		       "MSI-X\n");
}

static void
print_text(const struct nmctl *n, const struct wishes *w, const struct command_line *server,
	const struct command_line *guest, const char *xml)
{
	printf("# The device server; as the user who runs the guest, or give it --socket-mode\n");
	print_command(server);
	if (n->libvirt) {
		printf("# libvirt: to be merged into the domain (virsh edit)\n");
		print_kvm(n, w);
		fputs(xml, stdout);
		return;
	}
	if (n->uml) {
		printf("# User-Mode Linux: your root file system is to be added\n");
	} else {
		printf("# QEMU: disks and all else are to be added. The memory must be shared "
		       "(share=on).\n");
		print_kvm(n, w);
		if (!w->qemu_listens)
			printf("# reconnect=1 is reconnect-ms=1000 from QEMU 9.2 on\n");
	}
	print_command(guest);
}

int
cmd_vm_args(struct nmctl *n)
{
	struct command_line server = {.cli = n->cli}, guest = {.cli = n->cli};
	struct wishes w = {.queues = 1, .mib = DEFAULT_MIB};
	char *xml = NULL;
	int ret = 0;

	if (n->libvirt && n->uml)
		nmt_usage_error(n->cli, "vm-args: --libvirt or --uml, not both");
	take_words(n, &w);
	server_command(&server, &w, !n->uml);
	if (n->libvirt)
		xml = libvirt_xml(n->cli, &w);
	else if (n->uml)
		uml_command(&guest, &w);
	else
		qemu_command(&guest, &w);
	if (n->json)
		ret = print_json(n, &w, &server, &guest, xml);
	else
		print_text(n, &w, &server, &guest, xml);
	clear(&server);
	clear(&guest);
	free(xml);
	return ret;
}
