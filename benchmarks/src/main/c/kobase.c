/*
 * kobase - a minimal C module loader, the yardstick for KoLoader's benchmarks
 *
 * Copyright (c) The KoLoader authors. SPDX-License-Identifier: MIT
 *
 * Build:  cc -std=gnu11 -O2 -Wall -Wextra -o kobase kobase.c
 * Usage:  kobase [--reuse] [--thp] [--stats] [--passes N] [--limit N] LIST SYMVERS
 *
 *   LIST      text file, one uncompressed x86-64 .ko path per line, exporters first
 *   SYMVERS   a Module.symvers; only its `vmlinux` lines are used
 *   --reuse   put every image into one reused buffer instead of keeping them all
 *   --thp     ask for huge pages for the images and the file buffer (madvise)
 *   --stats   print totals and a phase breakdown too; the extra counting slows the pass
 *   --passes  do the whole work N times, everything freed in between
 *   --limit   only the first N modules of LIST
 *
 * A pass starts with nothing but the list of paths in memory. It reads and indexes
 * SYMVERS, then for each module: reads the whole file with read(2) into one reused
 * buffer, checks the ELF header and the section headers, lays out core and init as
 * Linux 6.1 does with strict RWX and module unloading, computes every symbol's value
 * (undefined names through one hash table of all exports so far), copies the allocated
 * sections, applies all relocations with their checks, and adds the module's
 * exports, read from its relocated __ksymtab and __ksymtab_gpl tables. Core and init images
 * both stay until the end of the pass unless --reuse is given. Freeing is not timed.
 *
 * Every offset, index and string taken from a file is checked. A malformed file, an
 * undefined symbol that is not weak, or a duplicate export ends the program: message, exit 1.
 *
 * What a kernel also does and this does not: kallsyms (no symbol table in the images),
 * modinfo, licence, version and namespace checks, signatures, parameters,
 * alternatives and the other x86 patching, sorting of tables, page protections,
 * copies of per-CPU data, sysfs, initcalls. So compare it with a loader limited to the same work.
 *
 * Addresses are made up but plausible. The n-th `vmlinux` line of SYMVERS (from 0) is
 * at 0xffffffff81000000 + 16 n. Images are placed one after another from
 * 0xffffffffc0000000, page-aligned, each module's core and then its init; per-CPU areas from
 * 0x40000; symbols of sections that are not loaded at 0xffffc90000000000 + file offset.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "kobase runs on little-endian machines only"
#endif

#define KERNEL_BASE  0xffffffff81000000u
#define MODULES_BASE 0xffffffffc0000000u
#define MODULES_SIZE 0x3f000000u
#define PERCPU_BASE  0x40000u
#define TEMP_BASE    0xffffc90000000000u
#define PAGE         4096u

#define RO_AFTER_INIT 0x00200000u /* our own mark, outside the standard flag bits */
#define IN_INIT       0x80000000u /* likewise: the section goes into the init region */

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ------------------------------------------------------------------ failing */

static const char *current = "kobase"; /* what messages are about */

__attribute__((noreturn, cold, format(printf, 1, 2)))
static void fail(const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "%s: ", current);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void *grow(void *old, size_t count, size_t size)
{
    void *p = reallocarray(old, count, size);

    if (!p)
        fail("out of memory");
    return p;
}

/* -------------------------------------------------------------------- state */

struct section { /* what the loader derives from a section header */
    uint64_t address;  /* base of the section's symbols */
    uint8_t *image;    /* its bytes in the module's memory, null when it is not loaded */
    uint64_t offset;   /* in its region */
    uint64_t flags;
};

struct export {
    const char *name;
    uint64_t address;
    uint32_t length;
};

struct slot { /* of the hash table: export is an index + 1, 0 when free */
    uint32_t hash;
    uint32_t export;
};

enum phase { SYMVERS, READ, LAYOUT, ALLOCATE, SYMBOLS, COPY, RELOCATE, EXPORT, PHASES };
static const char *const phase_names[PHASES] = {
    "symvers", "read", "layout", "allocate", "symbols", "copy", "relocate", "export",
};

struct totals {
    uint64_t modules, relocations, resolved, unresolved_weak, bytes, core, init, exports;
    uint64_t symbols, undefined, percpu, modinfo, symtab, strtab; /* these and below: --stats only */
    uint64_t types[256];
    uint64_t digest;
    double seconds[PHASES];
};

static bool reuse, huge_pages, stats;

static struct totals totals;

static uint8_t *memory;         /* the module area; with --reuse only its first image_size bytes exist */
static size_t image_size;       /* with --reuse: size of the reused buffer */
static uint64_t area_used;      /* bytes of module addresses given out */
static uint64_t percpu_used;

static uint8_t *file;           /* the file being loaded */
static size_t file_size, file_capacity;

static struct section *sections;
static size_t section_capacity;

static uint64_t *values;        /* symbol values of the module being loaded */
static size_t value_capacity;

static struct export *exports;
static size_t export_count, export_capacity;
static struct slot *slots;
static uint32_t slot_mask;

struct chunk { struct chunk *next; size_t used; char text[65536 - 16]; };
static struct chunk *names;     /* with --reuse: copies of the names of exports */

static char *symvers;           /* text of SYMVERS, names point into it */

/* -------------------------------------------------------------------- clock */

static double now(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double phase_start;

static void phase_done(enum phase phase)
{
    if (stats) {
        double t = now(CLOCK_MONOTONIC);

        totals.seconds[phase] += t - phase_start;
        phase_start = t;
    }
}

/* ------------------------------------------------------------------- memory */

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        fail("cannot map %zu bytes: %s", size, strerror(errno));
    if (huge_pages)
        madvise(p, size, MADV_HUGEPAGE);
    return p;
}

static void unmap(void *p, size_t size)
{
    if (p && munmap(p, size))
        fail("munmap: %s", strerror(errno));
}

static uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* -------------------------------------------------------------------- files */

/* Reads a whole file into the reused buffer. */
static void read_file(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status))
        fail("%s", strerror(errno));
    file_size = (size_t)status.st_size;
    if (file_size > file_capacity) {
        unmap(file, file_capacity);
        file_capacity = align_up(file_size + file_size / 2, 1 << 21);
        file = map(file_capacity);
    }
    for (size_t done = 0; done < file_size;) {
        ssize_t n = read(fd, file + done, file_size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail("%s", n ? strerror(errno) : "file became shorter");
        done += (size_t)n;
    }
    close(fd);
}

/* --------------------------------------------------------- table of exports */

static uint64_t load64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static uint32_t load32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }

/* Eight bytes at a time; the last, partial word overlaps the one before it. */
static uint32_t hash_name(const char *name, size_t length)
{
    const uint64_t k = 0x9e3779b97f4a7c15u;
    uint64_t h = length * k;

    if (length >= 8) {
        for (size_t i = 0; i + 8 < length; i += 8) {
            h = (h ^ load64(name + i)) * k;
            h ^= h >> 32;
        }
        h ^= load64(name + length - 8);
    } else if (length >= 4) {
        h ^= (uint64_t)load32(name) << 32 | load32(name + length - 4);
    } else {
        for (size_t i = 0; i < length; i++)
            h ^= (uint64_t)(uint8_t)name[i] << 8 * i;
    }
    h *= k;
    return (uint32_t)(h >> 32);
}

static const struct export *find_export(const char *name, size_t length, uint32_t hash)
{
    for (uint32_t i = hash & slot_mask; slots[i].export; i = (i + 1) & slot_mask) {
        if (slots[i].hash == hash) {
            const struct export *e = &exports[slots[i].export - 1];

            if (e->length == length && !memcmp(e->name, name, length))
                return e;
        }
    }
    return NULL;
}

static void put_slot(uint32_t hash, uint32_t export)
{
    uint32_t i = hash & slot_mask;

    while (slots[i].export)
        i = (i + 1) & slot_mask;
    slots[i] = (struct slot){ hash, export };
}

static void add_export(const char *name, size_t length, uint64_t address)
{
    uint32_t hash = hash_name(name, length);

    if (export_count == export_capacity) { /* the table is kept at most half full */
        struct slot *old = slots;
        size_t old_size = export_capacity * 2;

        export_capacity = export_capacity ? export_capacity * 2 : 1 << 15;
        exports = grow(exports, export_capacity, sizeof *exports);
        slots = calloc(export_capacity * 2, sizeof *slots);
        if (!slots)
            fail("out of memory");
        slot_mask = (uint32_t)(export_capacity * 2 - 1);
        for (size_t i = 0; i < old_size; i++)
            if (old[i].export)
                put_slot(old[i].hash, old[i].export);
        free(old);
    }
    if (find_export(name, length, hash))
        fail("exports %.*s, which is exported already", (int)length, name);
    exports[export_count++] = (struct export){ name, address, (uint32_t)length };
    put_slot(hash, (uint32_t)export_count);
}

/* A copy of a name that outlives the image it stands in. */
static const char *keep_name(const char *name, size_t length)
{
    char *copy;

    if (length > sizeof names->text)
        fail("export name of %zu bytes", length);
    if (!names || names->used + length > sizeof names->text) {
        struct chunk *fresh = grow(NULL, 1, sizeof *fresh);

        fresh->next = names;
        fresh->used = 0;
        names = fresh;
    }
    copy = names->text + names->used;
    names->used += length;
    return memcpy(copy, name, length);
}

/* Lines are: crc TAB name TAB module TAB type TAB namespace. */
static void load_symvers(const char *path)
{
    const char *end, *line;
    uint64_t address = KERNEL_BASE;

    current = path;
    read_file(path);
    symvers = grow(NULL, file_size + 1, 1);
    memcpy(symvers, file, file_size);
    end = symvers + file_size;
    for (line = symvers; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        const char *name, *owner, *type;

        if (!stop)
            stop = end;
        name = memchr(line, '\t', (size_t)(stop - line));
        owner = name ? memchr(name + 1, '\t', (size_t)(stop - name - 1)) : NULL;
        type = owner ? memchr(owner + 1, '\t', (size_t)(stop - owner - 1)) : NULL;
        if (!type)
            fail("malformed line: %.*s", (int)(stop - line), line);
        if (type - owner == 8 && !memcmp(owner, "\tvmlinux", 8)) {
            add_export(name + 1, (size_t)(owner - name - 1), address);
            address += 16;
        }
        line = stop + 1;
    }
    if (!export_count)
        fail("no vmlinux lines");
}

/* ------------------------------------------------------------ one module */

struct module {
    const Elf64_Shdr *headers;
    uint32_t count;
    const char *section_names;
    uint64_t names_size;
    uint32_t symtab, percpu, modinfo, versions, ksymtab, ksymtab_gpl;
    uint64_t sizes[2];     /* of core and init */
    uint64_t addresses[2];
    uint8_t *images[2];
};

static bool within(uint64_t offset, uint64_t size, uint64_t limit)
{
    return offset <= limit && size <= limit - offset;
}

/* Checks the headers and finds the sections that matter by name. */
static void check_headers(struct module *m)
{
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *names_header;

    if (file_size < sizeof *e)
        fail("too short for an ELF header");
    if (memcmp(e->e_ident, ELFMAG, SELFMAG) || e->e_ident[EI_CLASS] != ELFCLASS64 ||
        e->e_ident[EI_DATA] != ELFDATA2LSB || e->e_type != ET_REL || e->e_machine != EM_X86_64)
        fail("not an x86-64 relocatable ELF file");
    if (e->e_shentsize != sizeof(Elf64_Shdr) || e->e_shoff % 8 ||
        !within(e->e_shoff, (uint64_t)e->e_shnum * sizeof(Elf64_Shdr), file_size))
        fail("bad section header table");
    if (e->e_shstrndx == 0 || e->e_shstrndx >= e->e_shnum)
        fail("bad section name index %u", e->e_shstrndx);
    m->headers = (const Elf64_Shdr *)(file + e->e_shoff);
    m->count = e->e_shnum;
    names_header = &m->headers[e->e_shstrndx];
    if (!within(names_header->sh_offset, names_header->sh_size, file_size) || !names_header->sh_size)
        fail("bad section name table");
    m->section_names = (const char *)file + names_header->sh_offset;
    m->names_size = names_header->sh_size;
    if (m->section_names[m->names_size - 1])
        fail("section name table does not end with 0");
    if (m->headers[0].sh_type != SHT_NULL || m->headers[0].sh_size || m->headers[0].sh_addr)
        fail("section 0 is not empty");
    if (m->count > section_capacity) {
        section_capacity = m->count * 2;
        sections = grow(sections, section_capacity, sizeof *sections);
    }
    sections[0] = (struct section){ 0 };
    for (uint32_t i = 1; i < m->count; i++) {
        const Elf64_Shdr *h = &m->headers[i];
        uint64_t flags = h->sh_flags & (SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR);

        if (h->sh_type != SHT_NULL && h->sh_type != SHT_NOBITS && !within(h->sh_offset, h->sh_size, file_size))
            fail("section %u reaches past the end of the file", i);
        if (h->sh_type == SHT_SYMTAB) {
            if (h->sh_link == 0 || h->sh_link >= m->count)
                fail("symbol table %u has no string table", i);
            if (!m->symtab)
                m->symtab = i;
        }
        if ((flags & (SHF_WRITE | SHF_EXECINSTR)) == (SHF_WRITE | SHF_EXECINSTR))
            fail("section %u is writable and executable", i);
        if (flags & SHF_ALLOC) {
            const char *name = m->section_names + h->sh_name;
            uint32_t *found = NULL;

            if (h->sh_name >= m->names_size)
                fail("section %u has a bad name", i);
            if (h->sh_addralign & (h->sh_addralign - 1))
                fail("section %u has an alignment that is no power of two", i);
            if (name[0] == '.') {
                if (!strncmp(name, ".init", 5))
                    flags |= IN_INIT;
                else if (!strcmp(name, ".modinfo"))
                    found = &m->modinfo;
                else if (!strcmp(name, ".data..percpu"))
                    found = &m->percpu;
                else if (!strcmp(name, ".data..ro_after_init"))
                    flags |= RO_AFTER_INIT;
            } else if (name[0] == '_') {
                if (!strcmp(name, "__versions"))
                    found = &m->versions;
                else if (!strcmp(name, "__jump_table"))
                    flags |= RO_AFTER_INIT;
                else if (!strcmp(name, "__ksymtab"))
                    found = &m->ksymtab;
                else if (!strcmp(name, "__ksymtab_gpl"))
                    found = &m->ksymtab_gpl;
            }
            if (found && !*found)
                *found = i;
        }
        sections[i] = (struct section){ .flags = flags };
    }
    if (!m->symtab)
        fail("no symbol table");
    sections[m->modinfo].flags = 0; /* none of these is loaded with the module; index 0: section 0 */
    sections[m->versions].flags = 0;
    sections[m->percpu].flags = 0;
}

/*
 * Gives each allocated section its place. A region holds, in this order and each from a
 * new page: code, read-only data, data read-only after init, writable data.
 */
static void lay_out(struct module *m)
{
    static const struct { uint64_t must, must_not; } groups[] = {
        { SHF_ALLOC | SHF_EXECINSTR, 0 },
        { SHF_ALLOC, SHF_WRITE },
        { SHF_ALLOC | RO_AFTER_INIT, 0 },
        { SHF_ALLOC | SHF_WRITE, 0 },
    };
    uint16_t lists[2][4][m->count]; /* the sections of each region's groups, in file order */
    uint32_t lengths[2][4] = { { 0 } };

    for (uint32_t i = 1; i < m->count; i++) {
        uint64_t flags = sections[i].flags;

        for (int g = 0; g < 4 && flags & SHF_ALLOC; g++) {
            if ((flags & groups[g].must) == groups[g].must && !(flags & groups[g].must_not)) {
                int region = !!(flags & IN_INIT);

                lists[region][g][lengths[region][g]++] = (uint16_t)i;
                break;
            }
        }
    }
    for (int region = 0; region < 2; region++) {
        uint64_t size = 0;

        for (int g = 0; g < 4; g++) {
            for (uint32_t k = 0; k < lengths[region][g]; k++) {
                uint32_t i = lists[region][g][k];
                const Elf64_Shdr *h = &m->headers[i];
                uint64_t alignment = h->sh_addralign ? h->sh_addralign : 1;

                if (h->sh_size > MODULES_SIZE || alignment > MODULES_SIZE)
                    fail("section %u is too large", i);
                size = align_up(size, alignment);
                sections[i].offset = size;
                size += h->sh_size;
            }
            if (region == 0 || g != 2) /* in init this group does not end a page */
                size = align_up(size, PAGE);
        }
        m->sizes[region] = size;
    }
}

/* Finds room for core and init and sets the address of every section. */
static void allocate(struct module *m)
{
    uint64_t total = m->sizes[0] + m->sizes[1];

    if (total > MODULES_SIZE - area_used)
        fail("no room left for modules");
    m->addresses[0] = MODULES_BASE + area_used;
    m->addresses[1] = m->addresses[0] + m->sizes[0];
    if (!reuse) {
        m->images[0] = memory + area_used;
#ifdef MADV_POPULATE_WRITE
        if (!huge_pages) /* one call for all page faults; a kernel without it (before 5.14) takes them singly */
            madvise(m->images[0], total, MADV_POPULATE_WRITE);
#endif
    } else {
        if (total > image_size) {
            unmap(memory, image_size);
            image_size = align_up(total + total / 2, 1 << 21);
            memory = map(image_size);
        }
        m->images[0] = memory;
    }
    m->images[1] = m->images[0] + m->sizes[0];
    area_used += total;

    for (uint32_t i = 1; i < m->count; i++) {
        struct section *s = &sections[i];

        if (s->flags & SHF_ALLOC) {
            int region = !!(s->flags & IN_INIT);

            s->address = m->addresses[region] + s->offset;
            s->image = m->images[region] + s->offset;
        } else {
            s->address = TEMP_BASE + m->headers[i].sh_offset;
        }
    }
    if (m->percpu) {
        const Elf64_Shdr *h = &m->headers[m->percpu];

        if (h->sh_addralign > PAGE || h->sh_size > 1 << 20)
            fail("bad per-CPU section");
        percpu_used = align_up(percpu_used, h->sh_addralign ? h->sh_addralign : 1);
        sections[m->percpu].address = PERCPU_BASE + percpu_used;
        percpu_used += h->sh_size;
    }
}

/* Computes the final value of every symbol; returns their number. */
static uint64_t resolve_symbols(struct module *m)
{
    const Elf64_Shdr *h = &m->headers[m->symtab];
    const Elf64_Shdr *names_header = &m->headers[h->sh_link];
    const Elf64_Sym *symbols = (const Elf64_Sym *)(file + h->sh_offset);
    const char *strings = (const char *)file + names_header->sh_offset;
    uint64_t count = h->sh_size / sizeof *symbols;
    uint64_t resolved = 0, weak = 0;

    if (h->sh_offset % 8 || h->sh_size % sizeof *symbols)
        fail("bad symbol table");
    if (names_header->sh_type != SHT_STRTAB || !names_header->sh_size || strings[names_header->sh_size - 1])
        fail("bad string table");
    if (count > value_capacity) {
        value_capacity = count * 2;
        free(values);
        values = grow(NULL, value_capacity, sizeof *values);
    }
    if (count)
        values[0] = 0;
    for (uint64_t i = 1; i < count; i++) {
        const Elf64_Sym *s = &symbols[i];
        uint32_t section = s->st_shndx;

        if (LIKELY(section != SHN_UNDEF && section < m->count)) {
            values[i] = s->st_value + sections[section].address;
        } else if (section == SHN_UNDEF) {
            const char *name = strings + s->st_name;
            const struct export *e;
            size_t length;

            if (s->st_name >= names_header->sh_size)
                fail("symbol %lu has a bad name", (unsigned long)i);
            length = strlen(name);
            e = find_export(name, length, hash_name(name, length));
            if (e) {
                values[i] = e->address;
                resolved++;
            } else if (ELF64_ST_BIND(s->st_info) == STB_WEAK || !strcmp(name, "_GLOBAL_OFFSET_TABLE_")) {
                values[i] = s->st_value;
                weak++;
            } else {
                fail("unknown symbol %s", name);
            }
        } else if (section == SHN_ABS) {
            values[i] = s->st_value;
        } else {
            fail("symbol %lu has an invalid section index %u", (unsigned long)i, section);
        }
    }
    totals.resolved += resolved;
    totals.unresolved_weak += weak;
    return count;
}

static void copy_sections(struct module *m)
{
    if (reuse) /* a fresh mapping is zero, a reused buffer is not */
        memset(m->images[0], 0, m->sizes[0] + m->sizes[1]);
    for (uint32_t i = 1; i < m->count; i++)
        if (sections[i].image && m->headers[i].sh_type != SHT_NOBITS)
            memcpy(sections[i].image, file + m->headers[i].sh_offset, m->headers[i].sh_size);
}

__attribute__((noreturn, cold))
static void fail_relocation(const char *what, uint32_t section, const Elf64_Rela *r)
{
    fail("section %u: %s: type %lu, offset %#lx, symbol %lu", section, what,
         (unsigned long)ELF64_R_TYPE(r->r_info), (unsigned long)r->r_offset, (unsigned long)ELF64_R_SYM(r->r_info));
}

/* Applies one relocation section. */
static uint64_t relocate_section(const Elf64_Shdr *h, const Elf64_Shdr *target_header, const struct section *target,
                                 uint64_t symbol_count)
{
    const Elf64_Rela *r = (const Elf64_Rela *)(file + h->sh_offset);
    const Elf64_Rela *end = r + h->sh_size / sizeof *r;
    const uint64_t *const value_of = values;
    uint8_t *const image = target->image;
    const uint64_t address = target->address;
    /* One comparison per field; a section shorter than a field has no valid place for it. */
    const uint64_t places4 = target_header->sh_size >= 4 ? target_header->sh_size - 3 : 0;
    const uint64_t places8 = target_header->sh_size >= 8 ? target_header->sh_size - 7 : 0;
    const char *problem;

    if (h->sh_offset % 8 || h->sh_size % sizeof *r)
        fail("bad relocation section for section %u", h->sh_info);
    for (; r < end; r++) {
        const uint64_t symbol = ELF64_R_SYM(r->r_info), offset = r->r_offset;
        const uint32_t type = (uint32_t)ELF64_R_TYPE(r->r_info);
        uint64_t value;
        uint8_t *place;

        if (UNLIKELY(symbol >= symbol_count)) {
            problem = "no such symbol";
            goto bad;
        }
        value = value_of[symbol] + (uint64_t)r->r_addend;

        if (LIKELY(type == R_X86_64_PC32 || type == R_X86_64_PLT32 ||
                   type == R_X86_64_32S || type == R_X86_64_32)) {
            uint32_t word;

            if (UNLIKELY(offset >= places4)) {
                problem = "outside of its section";
                goto bad;
            }
            place = image + offset;
            if (UNLIKELY(load32(place))) {
                problem = "existing value is nonzero";
                goto bad;
            }
            if (type == R_X86_64_32S) {
                if (UNLIKELY(value != (uint64_t)(int64_t)(int32_t)value)) {
                    problem = "overflow";
                    goto bad;
                }
            } else if (type == R_X86_64_32) {
                if (UNLIKELY(value >> 32)) {
                    problem = "overflow";
                    goto bad;
                }
            } else {
                value -= address + offset; /* truncated: 6.1 has no check here */
            }
            word = (uint32_t)value;
            memcpy(place, &word, 4);
        } else if (LIKELY(type == R_X86_64_64 || type == R_X86_64_PC64)) {
            if (UNLIKELY(offset >= places8)) {
                problem = "outside of its section";
                goto bad;
            }
            place = image + offset;
            if (UNLIKELY(load64(place))) {
                problem = "existing value is nonzero";
                goto bad;
            }
            if (type == R_X86_64_PC64)
                value -= address + offset;
            memcpy(place, &value, 8);
        } else if (type != R_X86_64_NONE) {
            problem = "unknown relocation";
            goto bad;
        }
    }
    return h->sh_size / sizeof *r;

bad:
    fail_relocation(problem, h->sh_info, r);
}

static void relocate(struct module *m, uint64_t symbol_count)
{
    for (uint32_t i = 1; i < m->count; i++) {
        const Elf64_Shdr *h = &m->headers[i];

        if ((h->sh_type != SHT_RELA && h->sh_type != SHT_REL) || h->sh_info >= m->count ||
            !sections[h->sh_info].image)
            continue;
        if (h->sh_type == SHT_REL)
            fail("section %u: REL relocations", i);
        totals.relocations += relocate_section(h, &m->headers[h->sh_info], &sections[h->sh_info], symbol_count);
    }
}

/* Adds what one relocated table exports: records of three self-relative 32-bit pointers. */
static void add_exports(struct module *m, uint32_t index)
{
    const struct section *s = &sections[index];
    uint64_t count = m->headers[index].sh_size / 12;

    for (uint64_t i = 0; i < count; i++) {
        const uint8_t *record = s->image + 12 * i;
        uint64_t address = s->address + 12 * i;
        uint64_t value = address + (uint64_t)(int64_t)(int32_t)load32(record);
        uint64_t name_at = address + 4 + (uint64_t)(int64_t)(int32_t)load32(record + 4) - m->addresses[0];
        uint64_t room = name_at < m->sizes[0] ? m->sizes[0] - name_at : 0;
        const char *name = (const char *)m->images[0] + (room ? name_at : 0);
        size_t length = strnlen(name, room);

        if (length == room)
            fail("export %lu has a bad name", (unsigned long)i);
        add_export(reuse ? keep_name(name, length) : name, length, value);
        totals.exports++;
    }
}

/* Extra numbers, counted outside of the timed phases. */
static void count_extras(struct module *m)
{
    const Elf64_Shdr *h = &m->headers[m->symtab];
    const Elf64_Sym *symbols = (const Elf64_Sym *)(file + h->sh_offset);
    uint64_t count = h->sh_size / sizeof *symbols;

    totals.symbols += count;
    for (uint64_t i = 1; i < count; i++)
        totals.undefined += symbols[i].st_shndx == SHN_UNDEF;
    totals.symtab += h->sh_size;
    totals.strtab += m->headers[h->sh_link].sh_size;
    totals.percpu += m->headers[m->percpu].sh_size;
    totals.modinfo += m->headers[m->modinfo].sh_size;
    for (uint32_t i = 1; i < m->count; i++) {
        h = &m->headers[i];
        if (h->sh_type == SHT_RELA && h->sh_info < m->count && sections[h->sh_info].image) {
            const Elf64_Rela *r = (const Elf64_Rela *)(file + h->sh_offset);

            for (uint64_t k = 0; k < h->sh_size / sizeof *r; k++)
                totals.types[ELF64_R_TYPE(r[k].r_info) & 255]++;
        }
    }
    for (uint64_t i = 0; i < m->sizes[0] + m->sizes[1]; i += 8) /* regions are whole pages */
        totals.digest = (totals.digest ^ load64(m->images[0] + i)) * 0x9e3779b97f4a7c15u;
}

static void load_module(const char *path)
{
    struct module m = { 0 };
    uint64_t symbol_count;

    current = path;
    read_file(path);
    totals.bytes += file_size;
    phase_done(READ);
    check_headers(&m);
    lay_out(&m);
    phase_done(LAYOUT);
    allocate(&m);
    phase_done(ALLOCATE);
    symbol_count = resolve_symbols(&m);
    phase_done(SYMBOLS);
    copy_sections(&m);
    phase_done(COPY);
    relocate(&m, symbol_count);
    phase_done(RELOCATE);
    if (sections[m.ksymtab].image)
        add_exports(&m, m.ksymtab);
    if (sections[m.ksymtab_gpl].image)
        add_exports(&m, m.ksymtab_gpl);
    phase_done(EXPORT);
    totals.modules++;
    totals.core += m.sizes[0];
    totals.init += m.sizes[1];
    if (stats) {
        count_extras(&m);
        phase_start = now(CLOCK_MONOTONIC);
    }
}

/* -------------------------------------------------------------------- passes */

static void free_pass(void)
{
    unmap(memory, reuse ? image_size : MODULES_SIZE);
    unmap(file, file_capacity);
    free(sections);
    free(values);
    free(exports);
    free(slots);
    free(symvers);
    while (names) {
        struct chunk *next = names->next;

        free(names);
        names = next;
    }
    memory = file = NULL;
    sections = NULL;
    values = NULL;
    exports = NULL;
    slots = NULL;
    symvers = NULL;
    image_size = file_capacity = section_capacity = value_capacity = export_count = export_capacity = 0;
    area_used = percpu_used = 0;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void run_pass(unsigned long pass, char *const *paths, size_t count, const char *symvers_path)
{
    struct rusage before, after;
    double wall, cpu, symvers_seconds;

    memset(&totals, 0, sizeof totals);
    getrusage(RUSAGE_SELF, &before);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    wall = phase_start = now(CLOCK_MONOTONIC);
    load_symvers(symvers_path);
    symvers_seconds = now(CLOCK_MONOTONIC) - wall;
    phase_done(SYMVERS);
    if (!reuse)
        memory = map(MODULES_SIZE);
    for (size_t i = 0; i < count; i++)
        load_module(paths[i]);
    wall = now(CLOCK_MONOTONIC) - wall;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    getrusage(RUSAGE_SELF, &after);
    current = "kobase";

    printf("pass=%lu modules=%lu relocations=%lu symbols_resolved=%lu bytes=%lu core_bytes=%lu init_bytes=%lu"
           " wall_s=%.6f cpu_s=%.6f user_s=%.6f sys_s=%.6f symvers_s=%.6f minor_faults=%ld major_faults=%ld\n",
           pass, (unsigned long)totals.modules, (unsigned long)totals.relocations, (unsigned long)totals.resolved,
           (unsigned long)totals.bytes, (unsigned long)totals.core, (unsigned long)totals.init, wall, cpu,
           seconds(after.ru_utime) - seconds(before.ru_utime), seconds(after.ru_stime) - seconds(before.ru_stime),
           symvers_seconds, after.ru_minflt - before.ru_minflt, after.ru_majflt - before.ru_majflt);
    if (stats) {
        printf("stats pass=%lu kernel_exports=%lu module_exports=%lu symbols=%lu undefined=%lu unresolved_weak=%lu"
               " percpu_bytes=%lu modinfo_bytes=%lu symtab_bytes=%lu strtab_bytes=%lu image_digest=%016lx\n",
               pass, (unsigned long)(export_count - totals.exports), (unsigned long)totals.exports,
               (unsigned long)totals.symbols, (unsigned long)totals.undefined,
               (unsigned long)totals.unresolved_weak, (unsigned long)totals.percpu, (unsigned long)totals.modinfo,
               (unsigned long)totals.symtab, (unsigned long)totals.strtab, (unsigned long)totals.digest);
        printf("types pass=%lu", pass);
        for (int i = 0; i < 256; i++)
            if (totals.types[i])
                printf(" %d=%lu", i, (unsigned long)totals.types[i]);
        printf("\nphases pass=%lu", pass);
        for (int i = 0; i < PHASES; i++)
            printf(" %s_s=%.6f", phase_names[i], totals.seconds[i]);
        putchar('\n');
    }
    fflush(stdout);
    free_pass();
}

/* ---------------------------------------------------------------------- main */

static char **read_list(const char *path, size_t *count)
{
    char **paths = NULL, *line = NULL;
    size_t size = 0, capacity = 0;
    ssize_t length;
    FILE *list = fopen(path, "r");

    current = path;
    if (!list)
        fail("%s", strerror(errno));
    *count = 0;
    while ((length = getline(&line, &size, list)) >= 0) {
        if (length && line[length - 1] == '\n')
            line[--length] = 0;
        if (!length)
            continue;
        if (*count == capacity)
            paths = grow(paths, capacity = capacity ? capacity * 2 : 1024, sizeof *paths);
        paths[(*count)++] = line;
        line = NULL;
        size = 0;
    }
    if (ferror(list))
        fail("%s", strerror(errno));
    free(line);
    fclose(list);
    if (!*count)
        fail("no modules listed");
    current = "kobase";
    return paths;
}

__attribute__((noreturn))
static void usage(void)
{
    fputs("usage: kobase [--reuse] [--thp] [--stats] [--passes N] [--limit N] LIST SYMVERS\n", stderr);
    exit(2);
}

static unsigned long number(const char *text)
{
    char *end;
    unsigned long value;

    if (!text || *text < '0' || *text > '9')
        usage();
    errno = 0;
    value = strtoul(text, &end, 10);
    if (errno || *end || !value)
        usage();
    return value;
}

int main(int argc, char **argv)
{
    unsigned long passes = 1, limit = 0;
    const char *operands[2];
    int operand_count = 0;
    struct rusage usage_now;
    char **paths;
    size_t count;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--reuse"))
            reuse = true;
        else if (!strcmp(argv[i], "--thp"))
            huge_pages = true;
        else if (!strcmp(argv[i], "--stats"))
            stats = true;
        else if (!strcmp(argv[i], "--passes"))
            passes = number(argv[++i]);
        else if (!strcmp(argv[i], "--limit"))
            limit = number(argv[++i]);
        else if (argv[i][0] == '-' || operand_count == 2)
            usage();
        else
            operands[operand_count++] = argv[i];
    }
    if (operand_count != 2)
        usage();
    paths = read_list(operands[0], &count);
    if (limit && limit < count)
        count = limit;
    for (unsigned long pass = 1; pass <= passes; pass++)
        run_pass(pass, paths, count, operands[1]);
    getrusage(RUSAGE_SELF, &usage_now);
    printf("peak_rss_kb=%ld mode=%s\n", usage_now.ru_maxrss, reuse ? "reuse" : "keep");
    return 0;
}
