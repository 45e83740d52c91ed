// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes what nobody would to files of sysfs and module parameters; looks at what comes of it.
 */

/**
 * DOC: commands
 *
 * fuzz files SEED COUNT FILE...
 *	COUNT writes to the files. One that is refused changes no file, and one that is refused
 *	with EINVAL leaves exactly one line in the log that names file and value. What is known
 *	of a file is whether a value had to be taken.
 * fuzz load SEED COUNT MODULE.ko PARAMETER
 *	loads the module COUNT times with values of the parameter, and unloads it again. A load
 *	that is refused fails with EINVAL and leaves one line.
 *
 * Both print "INPUTS TAKEN REFUSED". Exit status 1: what should not have happened was printed.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common.h"
#include "kmsg.h"

#define VALUE_MAX	6000
#define FILES_MAX	256

static uint64_t seed;
static int kmsg;
static unsigned int failures;
static char value[VALUE_MAX + 1];
static size_t value_len;

static uint64_t below(uint64_t n)
{
	return next_random(&seed) % n;
}

/* ---- Values ---- */

static const char * const words[] = {
	"", "\n", " ", "0", "1", "-1", "+1", "00", "01", "0x1", "1\n", "1 ", " 1", "1\n\n", "2",
	"16", "17", "511", "512", "513", "1024", "4096", "65536", "1048576", "1048577",
	"2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807",
	"9223372036854775808", "18446744073709551615", "18446744073709551616",
	"-9223372036854775808", "1e3", "1.5", "0777", "1K", "64K", "1M", "1G", "16777216T",
	"all", "off", "read", "reuse", "ram", "pmem", "auto", "none", "release", "free", "y",
	"n", "on", "yes", "true", "ALL", "off\n", "all,", ",", ",,,", "all,all", "namespace0.0",
	"namespace0.0,namespace0.0", "namespace", "namespace99.9", "namespace4294967296.0",
	"ext4", "xfs btrfs", "ext4,8:1", "bdev:8:1", "bdev:", "8:1:2", "8:", ":", "bdev:4096:0",
	"4095:1048575", "4096:1", "-1:0", "%s%n%p%x", "%pK", "../../etc", "\"", "'", "`",
	"$(id)", ";", "\\", "\t", "\r", "\x1b[31m", "\xff\xfe", "\xc3\x28", "NaN", "null", "lz4",
	"zstd", "cold", "always", "-131072", "-131073", "14400000", "14400001",
};

static void add(const char *bytes, size_t len)
{
	if (len > VALUE_MAX - value_len)
		len = VALUE_MAX - value_len;
	memcpy(value + value_len, bytes, len);
	value_len += len;
}

static void add_word(void)
{
	const char *word = words[below(sizeof(words) / sizeof(words[0]))];

	add(word, strlen(word));
}

static void add_number(void)
{
	char text[32];
	int bits = (int)below(65);
	uint64_t number = bits ? next_random(&seed) >> (64 - bits) : 0;

	add(text, (size_t)snprintf(text, sizeof(text), below(8) ? "%" PRIu64 : "-%" PRIu64,
				   number));
}

static void add_bytes(void)
{
	size_t len = below(4) ? below(12) : below(VALUE_MAX);
	char c = (char)below(256);
	bool same = below(2);

	while (len--) {
		add(&c, 1);
		if (!same)
			c = (char)below(256);
	}
}

static void mutate(void)
{
	size_t at = value_len ? below(value_len) : 0;

	switch (value_len ? below(4) : 3) {
	case 0:
		value[at] ^= (char)(1 << below(8));
		break;
	case 1:
		memmove(value + at, value + at + 1, value_len - at - 1);
		value_len--;
		break;
	case 2:
		value_len = at;
		break;
	default:
		add_word();
	}
}

static void make_value(void)
{
	unsigned int pieces = 1 + (below(4) ? 0 : (unsigned int)below(40));
	unsigned int mutations = (unsigned int)below(3);

	value_len = 0;
	while (pieces--) {
		switch (below(8)) {
		case 0:
			add_bytes();
			break;
		case 1:
		case 2:
			add_number();
			break;
		default:
			add_word();
		}
		if (pieces)
			add(below(2) ? "," : " ", 1);
	}
	if (!below(3))
		while (mutations--)
			mutate();
	if (!below(2))
		add("\n", 1);
	value[value_len] = '\0';
}

static void show_value(void)
{
	size_t i;

	printf(" \"");
	for (i = 0; i < value_len && i < 80; i++)
		printf(isprint((unsigned char)value[i]) ? "%c" : "\\x%02x",
		       (unsigned char)value[i]);
	printf("\"%s (%zu bytes)", i < value_len ? "..." : "", value_len);
}

static void __attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	show_value();
	putchar('\n');
	if (++failures == 20)
		exit(EXIT_WRONG_DATA);
}

/* ---- What the log says ---- */

/* As /dev/kmsg shows it */
static void escape(char *to)
{
	size_t i;

	for (i = 0; i < value_len; i++) {
		unsigned char c = (unsigned char)value[i];

		to += sprintf(to, c < ' ' || c >= 127 || c == '\\' ? "\\x%02x" : "%c", c);
	}
	*to = '\0';
}

/* Does a line name @what, the value or a part of it, and what would have been right? */
static bool names_value(char *line, const char *what)
{
	static char escaped[4 * VALUE_MAX + 1];
	char *at = strstr(line, what), *end;

	if (!at || !strstr(at, "expected"))
		return false;
	at += strlen(what);
	/* what="value" or what: "value" */
	at += strspn(at, "=: ");
	at += *at == '"';
	end = strstr(at, "not accepted");
	if (!end)
		return false;
	while (end > at && strchr("\": ", end[-1]))
		end--;
	*end = '\0';
	escape(escaped);
	return strstr(escaped, at);
}

/* Returns how many errors of ours are in the log. */
static unsigned int errors_logged(const char *prefix, const char *what)
{
	unsigned int lines = 0;
	char line[4096];

	while (kmsg_next_error(kmsg, prefix, line, sizeof(line))) {
		/* The kernel has something to say of parameters, too: `VALUE' invalid ... */
		if (!strncmp(line + strcspn(line, ":"), ": `", 3))
			continue;
		lines++;
		if (!names_value(line, what))
			wrong("the log says \"%.200s\" of %s", line, what);
	}
	return lines;
}

/* ---- Files ---- */

enum verdict { UNKNOWN, MUST_TAKE, MUST_REFUSE };

struct file {
	const char *path;
	const char *name;
	bool readable;
	bool writable;
	char old[8192];
};

static struct file files[FILES_MAX];
static unsigned int nr_files;

static void read_value(const struct file *f, char *to, size_t size)
{
	int fd = open(f->path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, to, size - 1);

	if (len < 0)
		die("%s", f->path);
	to[len] = '\0';
	close(fd);
}

/* A decimal number and nothing else, as kstrtoul() has it */
static bool is_number(const char *text, uint64_t min, uint64_t max)
{
	unsigned __int128 n = 0;

	text += *text == '+';
	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > max)
			return false;
	}
	text += *text == '\n';
	return !*text && n >= min;
}

/* The same with a sign: a level of zstd's */
static bool is_level(const char *text)
{
	if (*text == '-')
		return isdigit((unsigned char)text[1]) && is_number(text + 1, 1, 131072);
	return is_number(text, 1, 19);
}

/* One of some words, as sysfs_streq() has it */
static bool is_one_of(const char *text, const char *list)
{
	char copy[64], *word, *at = copy;

	snprintf(copy, sizeof(copy), "%s", list);
	while ((word = strsep(&at, " "))) {
		size_t len = strlen(word);

		if (!strncmp(text, word, len) &&
		    (!text[len] || (text[len] == '\n' && !text[len + 1])))
			return true;
	}
	return false;
}

static enum verdict judge(const struct file *f)
{
	static const struct {
		const char *name;
		const char *words;
		uint64_t min;
		uint64_t max;
	} known[] = {
		{ "map_faults", "off read all", 0, 0 },
		{ "fault_around_pages", "1 2 4 8 16 32 64 128 256 512", 0, 0 },
		{ "promote_pages_per_second", NULL, 0, 1048576 },
		{ "compress", "off cold always", 0, 0 },
		{ "cold_age_ms", NULL, 0, 14400000 },
		{ "compress_cpu_percent", NULL, 1, 100 },
		{ "compress_now", "1", 0, 0 },
		{ "admit_free_percent", NULL, 0, 100 },
		{ "max_pages", NULL, 0, UINT64_MAX },
		{ "admission", "off reuse all", 0, 0 },
		{ "enabled", "0 1", 0, 0 },
		{ "drop", "1", 0, 0 },
		{ "drain", "1", 0, 0 },
		{ "unlend", "1", 0, 0 },
	};
	unsigned int i;

	if (!strcmp(f->name, "compress_level"))
		return is_level(value) ? MUST_TAKE : MUST_REFUSE;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(f->name, known[i].name))
			continue;
		/* As a number a power of 2 can have zeros before it */
		if (!strcmp(f->name, "fault_around_pages") && (*value == '0' || *value == '+'))
			return UNKNOWN;
		return (known[i].words ? is_one_of(value, known[i].words) :
					 is_number(value, known[i].min, known[i].max)) ?
		       MUST_TAKE : MUST_REFUSE;
	}
	return UNKNOWN;
}

/* Would it bind or unbind something that there is? */
static bool names_device(const char *name)
{
	char path[128], word[64];
	struct stat st;

	if (strcmp(name, "bind") && strcmp(name, "unbind"))
		return false;
	if (sscanf(value, " %60[^ \t\n\v\f\r]", word) != 1)
		return false;
	snprintf(path, sizeof(path), "/sys/bus/nd/devices/%s", word);
	return !stat(path, &st);
}

static void check_unchanged(const struct file *written, bool taken)
{
	static char now[8192];
	unsigned int i;

	for (i = 0; i < nr_files; i++) {
		struct file *f = &files[i];

		if (!f->readable || !f->writable)
			continue;
		read_value(f, now, sizeof(now));
		if (!strcmp(now, f->old))
			continue;
		if (!taken || f != written)
			wrong("%s was %.40s, is %.40s after %s of %s", f->name, f->old, now,
			      taken ? "a write" : "a refusal", written->name);
		memcpy(f->old, now, sizeof(now));
	}
}

/* Returns true when the value was taken. */
static bool write_file(const struct file *f)
{
	bool driver = !strcmp(f->name, "bind") || !strcmp(f->name, "unbind");
	enum verdict verdict = judge(f);
	unsigned int lines;
	int fd, err = 0;
	ssize_t ret;

	fd = open(f->path, O_WRONLY);
	if (fd < 0) {
		if (f->writable)
			die("%s", f->path);
		return false;
	}
	if (!f->writable)
		wrong("%s can be opened for writing", f->path);
	ret = pwrite(fd, value, value_len, below(8) ? 0 : (off_t)below(1ULL << 40));
	if (ret < 0)
		err = errno;
	else if (ret > 4096 || (ret != (ssize_t)value_len && ret != 4096))
		wrong("%s: write returned %zd", f->name, ret);
	close(fd);

	lines = errors_logged("pmem", f->name);
	if (!err && lines)
		wrong("%s: %u errors in the log of a value that was taken", f->name, lines);
	if (err == EINVAL && !driver && lines != 1)
		wrong("%s: %u errors in the log of a refusal", f->name, lines);
	/* Nothing is written, so nobody is asked; and of more than a page only that is seen. */
	if (!value_len || value_len > 4096)
		verdict = UNKNOWN;
	if (verdict == MUST_TAKE && err)
		wrong("%s: %s", f->name, strerrorname_np(err));
	if (verdict == MUST_REFUSE && !err)
		wrong("%s: taken", f->name);
	if (driver && err != ENODEV && err != EBUSY && value_len)
		wrong("%s: %s", f->name, err ? strerrorname_np(err) : "taken");
	check_unchanged(f, !err);
	return !err;
}

static int fuzz_files(uint64_t count, int argc, char **argv)
{
	uint64_t taken = 0, i;
	int j;

	for (j = 0; j < argc && nr_files < FILES_MAX; j++) {
		struct file *f = &files[nr_files++];
		struct stat st;

		f->path = argv[j];
		f->name = strrchr(argv[j], '/') + 1;
		if (stat(f->path, &st))
			die("%s", f->path);
		f->readable = st.st_mode & 0400;
		f->writable = st.st_mode & 0200;
		if (f->readable)
			read_value(f, f->old, sizeof(f->old));
	}
	for (i = 0; i < count; i++) {
		const struct file *f;

		/* Those that can be written more often than the others */
		do {
			f = &files[below(nr_files)];
		} while (!f->writable && below(8));
		make_value();
		if (!names_device(f->name))
			taken += write_file(f);
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", count, taken, count - taken);
	return failures ? EXIT_WRONG_DATA : EXIT_OK;
}

/* ---- Parameters ---- */

/* The kernel splits parameters at white space and takes quotes away. */
static void make_parameter(void)
{
	size_t i;

	make_value();
	value_len = strlen(value);
	for (i = 0; i < value_len; i++)
		if (value[i] == '"' || isspace((unsigned char)value[i]) || value[i] & 0x80)
			value[i] = '_';
	if (!strcmp(value, "--"))
		value[0] = '_';
}

static int fuzz_load(uint64_t count, const char *path, const char *parameter)
{
	static char text[VALUE_MAX + 64];
	uint64_t taken = 0, i;
	char name[64], prefix[80], *dot;
	unsigned int lines;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s", path);
	snprintf(name, sizeof(name), "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
	dot = strchr(name, '.');
	if (dot)
		*dot = '\0';
	snprintf(prefix, sizeof(prefix), "%s: ", name);
	for (i = 0; i < count; i++) {
		int err;

		make_parameter();
		snprintf(text, sizeof(text), "%s=%s", parameter, value);
		err = syscall(SYS_finit_module, fd, text, 0) ? errno : 0;
		if (!err && syscall(SYS_delete_module, name, O_NONBLOCK)) {
			wrong("%s can't be unloaded: %s", name, strerrorname_np(errno));
			break;
		}
		taken += !err;
		lines = errors_logged(prefix, parameter);
		/* It has one of the kernel's own types, and we nothing to say. */
		if (!strcmp(parameter, "force"))
			lines += !!err;
		if (err && err != EINVAL)
			wrong("%s=: %s", parameter, strerrorname_np(err));
		if (lines != !!err)
			wrong("%s=: %s, and %u errors in the log", parameter,
			      err ? strerrorname_np(err) : "taken", lines);
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", count, taken, count - taken);
	return failures ? EXIT_WRONG_DATA : EXIT_OK;
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "usage: fuzz files SEED COUNT FILE... | fuzz load SEED COUNT MODULE.ko PARAMETER\n");
		return EXIT_SETUP;
	}
	seed = parse_number(argv[2]);
	kmsg = kmsg_open();
	if (!strcmp(argv[1], "files"))
		return fuzz_files(parse_number(argv[3]), argc - 4, argv + 4);
	return fuzz_load(parse_number(argv[3]), argv[4], argv[5]);
}
