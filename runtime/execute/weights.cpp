#include "runtime/execute/weights.h"

#include "runtime/execute/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

namespace gmc::execute {
namespace {

// Names of gmc::DType in safetensors, and which of them is bool.
constexpr const char* names[] = {"F32", "F16", "BF16", "F64", "I32", "I64", "I8", "U8", "BOOL"};
constexpr uint32_t bool_dtype = sizeof names / sizeof *names - 1;

struct Text {
  const char* data = nullptr;
  size_t size = 0;
  bool is(const char* s) const { return strlen(s) == size && memcmp(s, data, size) == 0; }
};

// One tensor of the header.
struct Item {
  Text name, dtype;
  int64_t extents[max_rank];
  uint32_t rank = 0;
  uint64_t begin = 0, end = 0;
};

// Reads the part of JSON that safetensors headers are made of. Each method returns false if the text is something else.
class Reader {
public:
  Reader(const char* at, const char* end) : at_(at), end_(end) {}

  bool take(char c) {
    skip_spaces();
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  // The raw characters between the quotes.
  bool string(Text& out) {
    if (!take('"')) return false;
    out.data = at_;
    for (; at_ < end_ && *at_ != '"'; ++at_)
      if (*at_ == '\\' && ++at_ == end_) return false;
    if (at_ >= end_) return false;
    out.size = static_cast<size_t>(at_++ - out.data);
    return true;
  }

  bool number(uint64_t& out) {
    skip_spaces();
    if (at_ == end_ || *at_ < '0' || *at_ > '9') return false;
    for (out = 0; at_ < end_ && *at_ >= '0' && *at_ <= '9'; ++at_)
      if (__builtin_mul_overflow(out, uint64_t{10}, &out) ||
          __builtin_add_overflow(out, static_cast<uint64_t>(*at_ - '0'), &out))
        return false;
    return true;
  }

  // A list of at most `limit` numbers.
  bool numbers(uint64_t* out, uint32_t limit, uint32_t& count) {
    count = 0;
    if (!take('[')) return false;
    if (take(']')) return true;
    do {
      if (count == limit || !number(out[count++])) return false;
    } while (take(','));
    return take(']');
  }

  bool item(Item& out) {
    if (!take('{')) return false;
    bool has_dtype = false, has_shape = false, has_offsets = false;
    do {
      Text key;
      uint64_t values[max_rank];
      uint32_t count = 0;
      if (!string(key) || !take(':')) return false;
      if (key.is("dtype")) {
        has_dtype = string(out.dtype);
      } else if (key.is("shape")) {
        has_shape = numbers(values, max_rank, out.rank);
        for (uint32_t i = 0; i < out.rank && has_shape; ++i) out.extents[i] = static_cast<int64_t>(values[i]);
      } else if (key.is("data_offsets")) {
        has_offsets = numbers(values, 2, count) && count == 2;
        if (has_offsets) out.begin = values[0], out.end = values[1];
      } else {
        return false;
      }
    } while (take(','));
    return take('}') && has_dtype && has_shape && has_offsets;
  }

  // `{"key": "value", ...}`
  bool metadata() {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      Text key, value;
      if (!string(key) || !take(':') || !string(value)) return false;
    } while (take(','));
    return take('}');
  }

  const char* at() const { return at_; }

  bool at_end() {
    skip_spaces();
    return at_ == end_;
  }

private:
  void skip_spaces() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  const char *at_, *end_;
};

using ull = unsigned long long;

// Writes `f32 [2, 3]` and so returns what is shown of a tensor's type.
struct TypeText {
  char text[256];
  TypeText(Text dtype, const int64_t* extents, uint32_t rank) {
    int n = 0;
    for (; n < 16 && static_cast<size_t>(n) < dtype.size; ++n)  // a terminal must not obey what a file holds
      text[n] = dtype.data[n] >= ' ' && dtype.data[n] <= '~' ? dtype.data[n] : '?';
    n += snprintf(text + n, sizeof text - static_cast<size_t>(n), " [");
    for (uint32_t i = 0; i < rank; ++i)
      n += snprintf(text + n, sizeof text - static_cast<size_t>(n), i ? ", %lld" : "%lld",
                    static_cast<long long>(extents[i]));
    snprintf(text + n, sizeof text - static_cast<size_t>(n), "]");
  }
};

Status check(const Package* p, const Tensor& t, const Item& item, uint64_t data_bytes, Message* message) {
  const char* name = string_at(p, t.name);
  bool same = t.rank == item.rank && item.dtype.is(names[t.dtype]);
  for (uint32_t i = 0; i < t.rank && same; ++i) same = t.extents[i] == item.extents[i];
  if (!same) {
    const Text dtype{names[t.dtype], strlen(names[t.dtype])};
    return report(message, Status::invalid, "weights: '%s' is %s, the program expects %s", name,
                  TypeText(item.dtype, item.extents, item.rank).text, TypeText(dtype, t.extents, t.rank).text);
  }
  if (item.begin > item.end || item.end > data_bytes || item.end - item.begin != t.bytes)
    return report(message, Status::invalid, "weights: '%s' lies at bytes %llu to %llu of %llu, %llu bytes are expected",
                  name, ull(item.begin), ull(item.end), ull(data_bytes), ull(t.bytes));
  return Status::ok;
}

bool are_bools(const char* bytes, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i)
    if (bytes[i] != 0 && bytes[i] != 1) return false;
  return true;
}

// Finds where each state lies in the data.
Status locate(const Package* p, Reader reader, const char* data, uint64_t data_bytes, const char** found,
              Message* message) {
  const char* start = reader.at();
  const auto malformed = [&] {
    return report(message, Status::invalid, "weights: byte %llu: the safetensors header is malformed",
                  ull(sizeof(uint64_t)) + ull(reader.at() - start));
  };
  if (!reader.take('{')) return malformed();
  if (!reader.take('}')) {
    do {
      Item item;
      if (!reader.string(item.name) || !reader.take(':')) return malformed();
      if (item.name.is("__metadata__")) {
        if (!reader.metadata()) return malformed();
        continue;
      }
      if (!reader.item(item)) return malformed();
      for (uint32_t i = 0; i < p->state_count; ++i) {
        const Tensor& t = state_at(p, i);
        if (!item.name.is(string_at(p, t.name))) continue;
        if (found[i]) return report(message, Status::invalid, "weights: '%s' is given twice", string_at(p, t.name));
        if (const Status status = check(p, t, item, data_bytes, message); status != Status::ok) return status;
        found[i] = data + item.begin;
        if (t.dtype == bool_dtype && !are_bools(found[i], t.bytes))
          return report(message, Status::invalid, "weights: '%s' is BOOL and holds a byte that is neither 0 nor 1",
                        string_at(p, t.name));
      }
    } while (reader.take(','));
    if (!reader.take('}')) return malformed();
  }
  if (!reader.at_end()) return malformed();
  for (uint32_t i = 0; i < p->state_count; ++i)
    if (!found[i] && state_at(p, i).flags & state_parameter)
      return report(message, Status::invalid, "weights: parameter '%s' is missing", string_at(p, state_at(p, i).name));
  return Status::ok;
}

// The order of everything gmc writes: the header by name, the data by falling element size and then by name, so that
// each element is aligned and the same tensors make the same bytes.
struct Place {
  const char* name;
  const Tensor* tensor;
  const void* data;
  uint64_t offset;
};

int by_name(const void* a, const void* b) {
  return strcmp(static_cast<const Place*>(a)->name, static_cast<const Place*>(b)->name);
}

int by_size_and_name(const void* a, const void* b) {
  const uint64_t x = dtype_bytes(static_cast<const Place*>(a)->tensor->dtype),
                 y = dtype_bytes(static_cast<const Place*>(b)->tensor->dtype);
  return x != y ? (x > y ? -1 : 1) : by_name(a, b);
}

bool write_header(const Place* places, uint32_t count, FILE* file) {
  char* header = nullptr;
  size_t size = 0;
  FILE* text = open_memstream(&header, &size);
  if (!text) return false;
  fputc('{', text);
  for (uint32_t i = 0; i < count; ++i) {
    const Tensor& t = *places[i].tensor;
    fprintf(text, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", places[i].name, names[t.dtype]);
    for (uint32_t j = 0; j < t.rank; ++j) fprintf(text, "%s%lld", j ? "," : "", static_cast<long long>(t.extents[j]));
    fprintf(text, "],\"data_offsets\":[%llu,%llu]}", ull(places[i].offset), ull(places[i].offset + t.bytes));
  }
  fputc('}', text);
  fflush(text);
  for (size_t i = size + 8; i % 64 != 0; ++i) fputc(' ', text);
  bool good = fclose(text) == 0;
  const uint64_t header_bytes = size;
  good = good && fwrite(&header_bytes, 8, 1, file) == 1 && fwrite(header, 1, size, file) == size;
  free(header);
  return good;
}

bool write_states(const Context& context, FILE* file) {
  const Package* p = context.package();
  const uint32_t count = p->state_count;
  auto* places = static_cast<Place*>(calloc(count + 1u, sizeof(Place)));
  if (!places) return false;
  for (uint32_t i = 0; i < count; ++i)
    places[i] = {string_at(p, state_at(p, i).name), &state_at(p, i), context.state(i), 0};
  qsort(places, count, sizeof(Place), by_size_and_name);
  for (uint32_t i = 1; i < count; ++i) places[i].offset = places[i - 1].offset + places[i - 1].tensor->bytes;
  qsort(places, count, sizeof(Place), by_name);
  bool good = write_header(places, count, file);
  qsort(places, count, sizeof(Place), by_size_and_name);
  for (uint32_t i = 0; i < count && good; ++i)
    good = fwrite(places[i].data, 1, places[i].tensor->bytes, file) == places[i].tensor->bytes;
  free(places);
  return good;
}

}  // namespace

Status load_state(Context& context, const void* safetensors, uint64_t bytes, Message* message) {
  const Package* p = context.package();
  uint64_t header = 0;
  if (!safetensors) return report(message, Status::invalid, "weights: no data given (null pointer)");
  if (bytes >= 8) memcpy(&header, safetensors, 8);
  if (bytes < 8 || header > bytes - 8)
    return report(message, Status::invalid, "weights: %llu bytes are too few for a header of %llu", ull(bytes),
                  ull(header));
  const char* text = static_cast<const char*>(safetensors) + 8;
  auto** found = static_cast<const char**>(calloc(uint64_t{p->state_count} + 1, sizeof(char*)));
  if (!found) return report(message, Status::memory, "weights: out of memory");
  const Status status = locate(p, Reader(text, text + header), text + header, bytes - 8 - header, found, message);
  for (uint32_t i = 0; i < p->state_count && status == Status::ok; ++i)
    if (found[i]) memcpy(context.state(i), found[i], state_at(p, i).bytes);
  free(found);
  return status;
}

Status save_state(const Context& context, const char* path, Message* message) {
  const auto failed = [&](const char* what) {
    return report(message, Status::invalid, "cannot %s '%s': %s", what, path, strerror(errno));
  };
  // A name of its own, so that neither somebody's file nor another saver's is written over.
  char temporary[4096];
  int descriptor = -1;
  for (int serial = 0; descriptor < 0; ++serial) {
    const int length =
        snprintf(temporary, sizeof temporary, "%s.%ld-%d.part", path, static_cast<long>(getpid()), serial);
    if (length >= static_cast<int>(sizeof temporary)) {
      errno = ENAMETOOLONG;
      return failed("write");
    }
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0 && errno != EEXIST) return failed("create");
  }
  const auto give_up = [&](const char* what) {
    const int problem = errno;
    unlink(temporary);
    errno = problem;
    return failed(what);
  };
  FILE* file = fdopen(descriptor, "wb");
  if (!file) {
    close(descriptor);
    return give_up("create");
  }
  // On the disk before it takes the place of what is there.
  const bool written = write_states(context, file) && fflush(file) == 0 && (fsync(descriptor) == 0 || errno == EINVAL);
  if ((fclose(file) != 0) | !written) return give_up("write");
  return rename(temporary, path) == 0 ? Status::ok : give_up("rename to");
}

}  // namespace gmc::execute
