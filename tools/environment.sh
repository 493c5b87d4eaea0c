# What tools/check and tools/quickstart share; read with `.` from the root of the repository.

# A cache that a few branches fit in; the user's own settings win.
export CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-2G}"
if [ -z "${CCACHE_DIR:-}" ] && ! mkdir -p "${HOME:-/nonexistent}/.cache/ccache" 2>/dev/null; then
  export CCACHE_DIR="$PWD/.cache/ccache"
fi
export NINJA_STATUS="${NINJA_STATUS:-[%f/%t, %e s] }"
export CTEST_OUTPUT_ON_FAILURE=1

started=$(date +%s)
# step TEXT: says what comes, and when.
step() { printf '\n== %s  (%d s)\n' "$1" $(($(date +%s) - started)); }

# sources PATTERN...: the sources of the repository, each ended by a zero byte. In a folder that git does not know
# (an unpacked archive), whatever lies in the folders of sources.
sources() {
  if git -C . rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -z -- "$@"
    return
  fi
  for pattern in "$@"; do find runtime compiler ops models tools tests -name "$pattern" -print0; done
}

# build_preset NAME [TARGET...]: configures and builds a preset of CMakePresets.json. A build folder that was made
# elsewhere, for example in a copied tree, is configured anew.
build_preset() {
  folder=build-$1
  if [ "$1" = release ]; then folder=build; fi
  fresh=
  if [ -f "$folder/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$folder/CMakeCache.txt"; then
    fresh=--fresh
  fi
  cmake --preset "$1" $fresh
  shift
  cmake --build "$folder" -j "${JOBS:-$(nproc)}" ${1:+--target "$@"}
}
