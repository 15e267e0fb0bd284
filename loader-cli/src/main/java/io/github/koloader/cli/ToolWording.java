package io.github.koloader.cli;

import io.github.koloader.Errno;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the tools that load and unload modules say about an error, and how they end. Texts are one
 * character a byte.
 */
enum ToolWording {
    /** kmod's {@code insmod} and {@code rmmod}. */
    KMOD {
        @Override
        String notInserted(String file, int errno) {
            return "insmod: ERROR: could not insert module " + file + ": " + meaning(errno);
        }

        @Override
        String notRead(String file, String why) {
            return "insmod: ERROR: could not load module " + file + ": " + why;
        }

        @Override
        List<String> notRemoved(String name, int errno) {
            return List.of(
                    "rmmod: ERROR: could not remove '" + name + "': " + strerror(errno),
                    "rmmod: ERROR: could not remove module " + name + ": " + strerror(errno));
        }

        @Override
        String meaning(int errno) {
            Errno known = Errno.of(errno);
            if (known == Errno.ENOEXEC) {
                return "Invalid module format";
            }
            if (known == Errno.ENOENT) {
                return "Unknown symbol in module";
            }
            if (errno == ESRCH) {
                return "Module has wrong symbol version";
            }
            return known == Errno.EINVAL ? "Invalid parameters" : strerror(errno);
        }

        @Override
        int status(int errno) {
            return errno == 0 ? 0 : 1;
        }
    },
    /** The applets of busybox, which end with the errno. */
    BUSYBOX {
        @Override
        String notInserted(String file, int errno) {
            return "insmod: can't insert '" + file + "': " + meaning(errno);
        }

        @Override
        String notRead(String file, String why) {
            return "insmod: can't insert '" + file + "': " + why;
        }

        @Override
        List<String> notRemoved(String name, int errno) {
            return List.of("rmmod: can't unload module '" + name + "': " + strerror(errno));
        }

        @Override
        String meaning(int errno) {
            Errno known = Errno.of(errno);
            if (known == Errno.ENOEXEC) {
                return "invalid module format";
            }
            if (known == Errno.ENOENT) {
                return "unknown symbol in module, or unknown parameter";
            }
            if (errno == ESRCH) {
                return "module has wrong symbol version";
            }
            return known == Errno.ENOSYS
                    ? "kernel does not support requested operation"
                    : strerror(errno);
        }

        @Override
        int status(int errno) {
            return errno;
        }
    };

    private static final int ESRCH = 3;

    /** A module that the kernel refuses. */
    abstract String notInserted(String file, int errno);

    /** A file that cannot be read. */
    abstract String notRead(String file, String why);

    /** A module that the kernel does not let go, line by line. */
    abstract List<String> notRemoved(String name, int errno);

    /** What an errno means when a module is loaded. */
    abstract String meaning(int errno);

    /** The exit status for an errno, 0 for success. */
    abstract int status(int errno);

    /** What {@code strerror(3)} says, as far as modules can have to do with it. */
    static String strerror(int errno) {
        @Nullable Errno known = Errno.of(errno);
        return known == null ? "Unknown error " + errno : known.text();
    }
}
