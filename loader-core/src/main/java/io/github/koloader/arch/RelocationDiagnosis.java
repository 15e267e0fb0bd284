package io.github.koloader.arch;

import static io.github.koloader.Diagnosis.quote;

import io.github.koloader.Diagnosis;

/** What people are told about a relocation that cannot be applied. */
final class RelocationDiagnosis {
    private static final String REBUILD =
            "Build the module anew with this kernel's own build system and compiler, which pass the"
                    + " options that it needs.";

    private RelocationDiagnosis() {}

    static Diagnosis of(Architecture architecture, RelocationFailure failure, String section) {
        RelocationType row = architecture.relocationTypes().byCode(failure.type());
        String type = row == null ? "type " + failure.type() : row.name();
        String symbol = failure.symbol().isEmpty() ? "" : " against " + quote(failure.symbol());
        String cause =
                switch (failure.kind()) {
                    case UNKNOWN_TYPE ->
                            "The relocation has "
                                    + type
                                    + ", which a kernel for "
                                    + architecture.name()
                                    + " does not apply.";
                    case OVERFLOW ->
                            type
                                    + symbol
                                    + ": the value 0x"
                                    + Long.toHexString(failure.value())
                                    + " does not fit into the "
                                    + (row == null ? 0 : row.field().size())
                                    + " bytes of its place.";
                    case PLACE_NOT_ZERO ->
                            type
                                    + symbol
                                    + ": its place is not zero, as if it had been applied already.";
                    case OUTSIDE_SECTION ->
                            type
                                    + symbol
                                    + ": its place is not in the section, which has "
                                    + failure.sectionSize()
                                    + " bytes.";
                    case NO_SUCH_SYMBOL -> type + ": its symbol is not in the symbol table.";
                };
        String advice =
                switch (failure.kind()) {
                    case UNKNOWN_TYPE, OVERFLOW ->
                            REBUILD
                                    + " A value that does not fit means another code model, or"
                                    + " memory too far away.";
                    case PLACE_NOT_ZERO, OUTSIDE_SECTION, NO_SUCH_SYMBOL ->
                            "The file is damaged, or a tool has changed it: take it anew from where"
                                    + " it was built.";
                };
        return new Diagnosis(
                cause,
                "relocation "
                        + failure.entry()
                        + " of section "
                        + failure.relocationSection()
                        + ", for offset 0x"
                        + Long.toHexString(failure.offset())
                        + " of "
                        + quote(section),
                advice);
    }
}
