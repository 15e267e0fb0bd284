/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* In the place of the kernel's header: what sources of modules need to be built in. */
#include "../../vmlinux-mini/src/mini.h"
#ifndef KERN_INFO
#define KERN_INFO "\001" "6"
#define MODULE_DESCRIPTION(text) MODULE_INFO(description, text)
#define MODULE_AUTHOR(text) MODULE_INFO(author, text)
#endif
