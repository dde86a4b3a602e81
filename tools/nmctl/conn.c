/* SPDX-License-Identifier: BSD-2-Clause */
/* Talking to netmapd. See conn.h. */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/netmap_user.h"
#include "shm/proto.h"

int
conn_open_or_start(struct unm_conn *c, const char *path)
{
	int ret = unm_conn_open(c, path), fd;

	if (ret != -ENOENT && ret != -ECONNREFUSED)
		return ret;
	if (path != NULL && setenv(UNM_SOCKET_ENV, path, 1) < 0)
		return ret;
	fd = open(NETMAP_DEVICE_NAME,
		O_RDWR | O_CLOEXEC); /* the library's: it starts a netmapd and keeps it busy */
	if (fd < 0)
		return ret;
	ret = unm_conn_open(c, path);
	close(fd);
	return ret;
}

int
conn_ask(struct unm_conn *c, const char *const *words, unsigned int n_words,
	struct json_object **out)
{
	char *text;
	int ret = unm_conn_ask(c, words, n_words, &text);

	if (ret < 0)
		return ret;
	*out = json_tokener_parse(text);
	free(text);
	if (*out != NULL)
		return 0;
	unm_conn_failed(c, -EPROTO, NULL);
	return -EPROTO;
}
