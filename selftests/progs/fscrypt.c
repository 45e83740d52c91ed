// SPDX-License-Identifier: GPL-2.0-only
/*
 * fscrypt DIRECTORY: new files there are encrypted, with a key that is nobody's secret.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fscrypt.h>
#include <sys/ioctl.h>

#include "common.h"

int main(int argc, char **argv)
{
	struct {
		struct fscrypt_add_key_arg arg;
		unsigned char raw[64];
	} key = {
		.arg.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER,
		.arg.raw_size = 64,
	};
	struct fscrypt_policy_v2 policy = {
		.version = FSCRYPT_POLICY_V2,
		.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS,
		.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS,
		.flags = FSCRYPT_POLICY_FLAGS_PAD_32,
	};
	int fd, i;

	if (argc != 2)
		return EXIT_SETUP;
	fd = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		die("%s", argv[1]);
	for (i = 0; i < 64; i++)
		key.raw[i] = i * 7 + 1;
	if (ioctl(fd, FS_IOC_ADD_ENCRYPTION_KEY, &key))
		die("key");
	memcpy(policy.master_key_identifier, key.arg.key_spec.u.identifier,
	       sizeof(policy.master_key_identifier));
	if (ioctl(fd, FS_IOC_SET_ENCRYPTION_POLICY, &policy))
		die("policy");
	return EXIT_OK;
}
