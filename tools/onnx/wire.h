// The encoding of protocol buffers, checked before the library parses it: the library says that a file is broken, this
// says where.
//
// Source: protobuf.dev/programming-guides/encoding.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <span>

namespace gmc::onnx {

// Throws `Error` with the offset and the path of the field, `graph.node[3].attribute[0].t`, where a tag, a number or a
// length is broken, runs past the end of its message, or messages lie deeper inside each other than `depth`.
void check_encoding(std::span<const std::byte> file, const google::protobuf::Descriptor& message, int depth);

}  // namespace gmc::onnx
