package io.github.koloader.memory;

/** A touch outside every region, or against a region's rights: a simulated oops. */
public final class AddressFaultException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final transient Address address;

    /**
     * A fault.
     *
     * @param address the address touched
     * @param what what was tried
     */
    public AddressFaultException(Address address, String what) {
        super(what + " at " + address);
        this.address = address;
    }

    /** {@return the address touched} */
    public Address address() {
        return address;
    }
}
