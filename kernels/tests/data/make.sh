#!/bin/sh
# Packs kernel.elf in every way the kernel's build offers, with its flags (scripts/Makefile.lib), size appended.
# Needs: gzip bzip2 xz-utils lzop lz4 zstd python3.
set -e
cd "$(dirname "$0")"
append_size() {
    python3 -c 'import os, struct, sys; sys.stdout.buffer.write(struct.pack("<I", os.path.getsize("kernel.elf")))'
}
gzip -n -f -9 <kernel.elf >kernel.gzip
{ bzip2 -9 <kernel.elf; append_size; } >kernel.bzip2
{ xz --check=crc32 --x86 --lzma2=dict=32MiB <kernel.elf; append_size; } >kernel.xz
{ lzma -9 <kernel.elf; append_size; } >kernel.lzma
{ lzop -9 <kernel.elf; append_size; } >kernel.lzo
{ lz4 -l -9 - - <kernel.elf; append_size; } >kernel.lz4
{ zstd -22 --ultra <kernel.elf; append_size; } >kernel.zstd
