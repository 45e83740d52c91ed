// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds pages of a file until its input ends, then looks whether they are what they must be.
 *
 *	filehold pipe FILE PAGE COUNT
 *		in a pipe, at most 16: they are as they were, whatever came of the file
 *	filehold rdma FILE PAGE COUNT [dirty]
 *		registered for RDMA reads, a long-term pin; then the file is written through
 *		the mapping. "dirty": before, too
 *
 * Says "held" when it does, or "refused ERROR". Without a soft RDMA device it says "none".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/netlink.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_netlink.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common.h"

static void say(const char *what)
{
	puts(what);
	fflush(stdout);
}

static void wait_for_end(void)
{
	char c;

	while (read(0, &c, 1) > 0)
		;
}

static int hold_in_pipe(int fd, long page, long count)
{
	size_t len = count * PAGE, done = 0;
	char *was = malloc(len), *is = malloc(len);
	loff_t at = page * PAGE;
	int pipefd[2];
	ssize_t n;

	if (!was || !is || pipe(pipefd) ||
	    pread(fd, was, len, at) != (ssize_t)len ||
	    splice(fd, &at, pipefd[1], NULL, len, 0) != (ssize_t)len)
		die("splice");
	say("held");
	wait_for_end();
	for (; done < len; done += n) {
		n = read(pipefd[0], is + done, len - done);
		if (n <= 0)
			die("read");
	}
	return memcmp(was, is, len) ? EXIT_WRONG_DATA : EXIT_OK;
}

static void add_attr(char *msg, int type, const char *value)
{
	struct nlmsghdr *h = (struct nlmsghdr *)msg;
	struct nlattr *a = (struct nlattr *)(msg + NLMSG_ALIGN(h->nlmsg_len));

	a->nla_type = type;
	a->nla_len = NLA_HDRLEN + strlen(value) + 1;
	memcpy((char *)a + NLA_HDRLEN, value, strlen(value) + 1);
	h->nlmsg_len = NLMSG_ALIGN(h->nlmsg_len) + NLA_ALIGN(a->nla_len);
}

/* A soft RDMA device on the loopback interface; there may be one already. */
static void make_device(void)
{
	char msg[256] = { 0 };
	struct nlmsghdr *h = (struct nlmsghdr *)msg;
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_RDMA);

	h->nlmsg_len = NLMSG_HDRLEN;
	h->nlmsg_type = RDMA_NL_GET_TYPE(RDMA_NL_NLDEV, RDMA_NLDEV_CMD_NEWLINK);
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	add_attr(msg, RDMA_NLDEV_ATTR_DEV_NAME, "hold0");
	add_attr(msg, RDMA_NLDEV_ATTR_LINK_TYPE, "rxe");
	add_attr(msg, RDMA_NLDEV_ATTR_NDEV_NAME, "lo");
	if (s < 0 || send(s, msg, h->nlmsg_len, 0) < 0)
		return;
	recv(s, msg, sizeof(msg), 0);
	close(s);
}

static int command(int verbs, int nr, void *cmd, size_t in, void *resp, size_t out)
{
	char buf[256];
	struct ib_uverbs_cmd_hdr hdr = {
		.command = nr,
		.in_words = (sizeof(hdr) + in) / 4,
		.out_words = out / 4,
	};

	/* Each command begins with the address of its response. */
	*(__u64 *)cmd = (unsigned long)resp;
	memcpy(buf, &hdr, sizeof(hdr));
	memcpy(buf + sizeof(hdr), cmd, in);
	return write(verbs, buf, sizeof(hdr) + in) < 0 ? -errno : 0;
}

static int pin(int verbs, void *addr, size_t len)
{
	struct ib_uverbs_get_context context = { 0 };
	struct ib_uverbs_get_context_resp context_resp;
	struct ib_uverbs_alloc_pd pd = { 0 };
	struct ib_uverbs_alloc_pd_resp pd_resp;
	struct ib_uverbs_reg_mr mr = { 0 };
	struct ib_uverbs_reg_mr_resp mr_resp;
	int err;

	err = command(verbs, IB_USER_VERBS_CMD_GET_CONTEXT, &context,
		      sizeof(context), &context_resp, sizeof(context_resp));
	if (err)
		return err;
	err = command(verbs, IB_USER_VERBS_CMD_ALLOC_PD, &pd, sizeof(pd),
		      &pd_resp, sizeof(pd_resp));
	if (err)
		return err;
	mr.start = (unsigned long)addr;
	mr.hca_va = (unsigned long)addr;
	mr.length = len;
	mr.pd_handle = pd_resp.pd_handle;
	mr.access_flags = 1 << 2 /* IB_ACCESS_REMOTE_READ */;
	return command(verbs, IB_USER_VERBS_CMD_REG_MR, &mr, sizeof(mr),
		       &mr_resp, sizeof(mr_resp));
}

static int hold_for_rdma(int fd, long page, long count, bool dirty)
{
	size_t len = count * PAGE, i;
	unsigned char *map, *want = malloc(len);
	int verbs, err;

	make_device();
	verbs = open("/dev/infiniband/uverbs0", O_RDWR);
	if (verbs < 0) {
		say("none");
		return EXIT_OK;
	}
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page * PAGE);
	if (map == MAP_FAILED || !want)
		die("mmap");
	memcpy(want, map, len);
	for (i = 0; dirty && i < len; i += 512)
		map[i] = ~want[i];
	memcpy(want, map, len);
	err = pin(verbs, map, len);
	if (err) {
		printf("refused %s\n", strerrorname_np(-err));
		fflush(stdout);
		return EXIT_OK;
	}
	if (memcmp(map, want, len))
		return EXIT_WRONG_DATA;
	say("held");
	wait_for_end();
	if (memcmp(map, want, len))
		return EXIT_WRONG_DATA;
	for (i = 1; i < len; i += 512) {
		want[i] = ~want[i];
		map[i] = want[i];
	}
	if (msync(map, len, MS_SYNC))
		die("msync");
	close(verbs);
	return memcmp(map, want, len) ? EXIT_WRONG_DATA : EXIT_OK;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 5) {
		fprintf(stderr, "filehold: pipe|rdma FILE PAGE COUNT [dirty]\n");
		return EXIT_SETUP;
	}
	fd = open(argv[2], O_RDWR);
	if (fd < 0)
		die("%s", argv[2]);
	if (!strcmp(argv[1], "pipe"))
		return hold_in_pipe(fd, atol(argv[3]), atol(argv[4]));
	return hold_for_rdma(fd, atol(argv[3]), atol(argv[4]), argc > 5);
}
