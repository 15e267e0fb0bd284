package io.github.koloader;

/**
 * Error numbers that loading and unloading can end with, with their numbers on the architectures
 * modelled.
 */
public enum Errno {
    /** Operation not permitted. */
    EPERM(1, "Operation not permitted"),
    /** No such file or directory: an unknown symbol, or no such module. */
    ENOENT(2, "No such file or directory"),
    /** Interrupted. */
    EINTR(4, "Interrupted system call"),
    /** Input/output error. */
    EIO(5, "Input/output error"),
    /** Not a module this kernel can take. */
    ENOEXEC(8, "Exec format error"),
    /** Bad file descriptor. */
    EBADF(9, "Bad file descriptor"),
    /** In use. */
    EAGAIN(11, "Resource temporarily unavailable"),
    /** No room. */
    ENOMEM(12, "Cannot allocate memory"),
    /** The file's permissions forbid it. */
    EACCES(13, "Permission denied"),
    /** Bad address. */
    EFAULT(14, "Bad address"),
    /** Busy: loading, unloading or permanent. */
    EBUSY(16, "Device or resource busy"),
    /** Already loaded. */
    EEXIST(17, "File exists"),
    /** No such device. */
    ENODEV(19, "No such device"),
    /** Not a directory. */
    ENOTDIR(20, "Not a directory"),
    /** A directory. */
    EISDIR(21, "Is a directory"),
    /** Invalid argument. */
    EINVAL(22, "Invalid argument"),
    /** Open for writing. */
    ETXTBSY(26, "Text file busy"),
    /** Too large. */
    EFBIG(27, "File too large"),
    /** No space. */
    ENOSPC(28, "No space left on device"),
    /** Read-only. */
    EROFS(30, "Read-only file system"),
    /** Out of range. */
    ERANGE(34, "Numerical result out of range"),
    /** Not implemented. */
    ENOSYS(38, "Function not implemented"),
    /** No data. */
    ENODATA(61, "No data available"),
    /** Unknown algorithm of a signature. */
    ENOPKG(65, "Package not installed"),
    /** Garbled signature. */
    EBADMSG(74, "Bad message"),
    /** Not supported. */
    EOPNOTSUPP(95, "Operation not supported"),
    /** No key for a signature. */
    ENOKEY(126, "Required key not available"),
    /** Signature does not match. */
    EKEYREJECTED(129, "Key was rejected by service");

    private final int number;
    private final String text;

    Errno(int number, String text) {
        this.number = number;
        this.text = text;
    }

    /** {@return the positive number} */
    public int number() {
        return number;
    }

    /** {@return what {@code strerror(3)} says} */
    public String text() {
        return text;
    }

    /**
     * {@return the error of that positive number, or {@code null} if it is not one of these}
     *
     * @param number the positive number
     */
    public static @org.jspecify.annotations.Nullable Errno of(int number) {
        for (Errno errno : values()) {
            if (errno.number == number) {
                return errno;
            }
        }
        return null;
    }
}
