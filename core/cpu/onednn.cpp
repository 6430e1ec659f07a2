// Engine, stream, errors, memory objects and reorders of oneDNN; the relayout kernel.
#include "core/cpu/onednn.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "core/cpu/kernels.h"
#include "dnn/error.h"

namespace dnn::cpu {
namespace onednn {

using detail::Layout;

void check(dnnl_status_t status, const char* expression, const char* file, int line) {
  if (status == dnnl_success) return;
  const char* slash = std::strrchr(file, '/');
  const std::string text = fmt::format("oneDNN: {} returned {} ({}:{})", expression, dnnl_status2str(status),
                                       slash == nullptr ? file : slash + 1, line);
  if (status == dnnl_out_of_memory) throw OutOfMemory(text);
  throw BackendError(text);
}

namespace {

// Engine and stream live until the process ends: memory objects in static caches refer to them.
struct Context {
  dnnl_engine_t engine = nullptr;
  dnnl_stream_t stream = nullptr;
  Context() {
    DNN_ONEDNN(dnnl_engine_create(&engine, dnnl_cpu, 0));
    DNN_ONEDNN(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags));
  }
};

Context& context() {
  static Context* const instance = new Context;
  return *instance;
}

}  // namespace

dnnl_engine_t engine() { return context().engine; }
dnnl_stream_t stream() { return context().stream; }

std::mutex& mutex() {
  static std::mutex instance;
  return instance;
}

int threads() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 0;  // oneDNN's own choice, which cannot be changed from here
#endif
}

int64_t native_block() {
  static const int64_t block =
      (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core ? 16 : 8;
  return block;
}

std::string version() {
  const dnnl_version_t* const v = dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string instructions() {
  const auto usable = dnnl_get_effective_cpu_isa();
  for (const auto& [isa, name] : {std::pair(dnnl_cpu_isa_avx512_core, "AVX-512"), std::pair(dnnl_cpu_isa_avx2, "AVX2"),
                                  std::pair(dnnl_cpu_isa_avx, "AVX")}) {
    if ((usable & isa) == isa) return name;
  }
  return "SSE4.1";
}

MemoryDesc describe(const Shape& sizes, dnnl_format_tag_t tag) {
  MemoryDesc desc;
  DNN_ONEDNN(dnnl_memory_desc_init_by_tag(&desc, sizes.rank(), sizes.begin(), dnnl_f32, tag));
  return desc;
}

MemoryDesc describe(const Shape& nchw, Layout layout) {
  constexpr dnnl_format_tag_t tags[] = {dnnl_nchw, dnnl_nhwc, dnnl_nChw8c, dnnl_nChw16c};
  return describe(nchw, tags[static_cast<int>(layout)]);
}

bool same(const MemoryDesc& a, const MemoryDesc& b) { return dnnl_memory_desc_equal(&a, &b) != 0; }
int64_t bytes_of(const MemoryDesc& desc) { return static_cast<int64_t>(dnnl_memory_desc_get_size(&desc)); }

Attributes make_attributes() {
  dnnl_primitive_attr_t attributes = nullptr;
  DNN_ONEDNN(dnnl_primitive_attr_create(&attributes));
  Attributes result(attributes);
  DNN_ONEDNN(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
  return result;
}

Executable::Executable(const PrimitiveDesc& desc) {
  dnnl_primitive_t primitive = nullptr;
  DNN_ONEDNN(dnnl_primitive_create(&primitive, desc.get()));
  primitive_.reset(primitive);
  const MemoryDesc& scratchpad = *dnnl_primitive_desc_query_md(desc.get(), dnnl_query_scratchpad_md, 0);
  scratch_bytes_ = bytes_of(scratchpad);
  bind(DNNL_ARG_SCRATCHPAD, scratchpad);
}

void Executable::bind(int argument, const MemoryDesc& desc) {
  dnnl_memory_t memory = nullptr;
  DNN_ONEDNN(dnnl_memory_create(&memory, &desc, engine(), DNNL_MEMORY_NONE));
  memories_.emplace_back(memory);
  arguments_.push_back({argument, memory});
}

void Executable::run(std::initializer_list<std::pair<int, const void*>> pointers, void* scratch) const {
  const auto set = [&](int argument, const void* pointer) {
    for (const dnnl_exec_arg_t& bound : arguments_) {
      if (bound.arg == argument) DNN_ONEDNN(dnnl_memory_set_data_handle(bound.memory, const_cast<void*>(pointer)));
    }
  };
  set(DNNL_ARG_SCRATCHPAD, scratch);
  for (const auto& [argument, pointer] : pointers) set(argument, pointer);
  DNN_ONEDNN(
      dnnl_primitive_execute(primitive_.get(), stream(), static_cast<int>(arguments_.size()), arguments_.data()));
  DNN_ONEDNN(dnnl_stream_wait(stream()));
}

Executable make_reorder(const MemoryDesc& from, const MemoryDesc& to, bool accumulate) {
  if (!accumulate && same(from, to)) return {};
  const Attributes attributes = make_attributes();
  if (accumulate) {
    dnnl_post_ops_t sum = nullptr;
    DNN_ONEDNN(dnnl_post_ops_create(&sum));
    const PostOps owner(sum);
    DNN_ONEDNN(dnnl_post_ops_append_sum(sum, 1.0f));
    DNN_ONEDNN(dnnl_primitive_attr_set_post_ops(attributes.get(), sum));
  }
  dnnl_primitive_desc_t desc = nullptr;
  DNN_ONEDNN(dnnl_reorder_primitive_desc_create(&desc, &from, engine(), &to, engine(), attributes.get()));
  const PrimitiveDesc owner(desc);
  Executable reorder(owner);
  reorder.bind(DNNL_ARG_FROM, from);
  reorder.bind(DNNL_ARG_TO, to);
  return reorder;
}

void* Workspace::take(int64_t bytes) {
  if (bytes == 0) return nullptr;
  void* piece = buffer_.as<char>() + used_;
  used_ += rounded(bytes);
  return piece;
}

namespace {

struct RelayoutKey {
  Shape shape;
  Layout from;
  Layout to;
  int threads;
  friend bool operator==(const RelayoutKey&, const RelayoutKey&) = default;
};

struct RelayoutHash {
  size_t operator()(const RelayoutKey& key) const {
    size_t hash = 0;
    for (const int64_t size : key.shape) mix(hash, size);
    mix(hash, static_cast<int64_t>(key.from) * 4 + static_cast<int64_t>(key.to));
    mix(hash, key.threads);
    return hash;
  }
};

}  // namespace
}  // namespace onednn

void relayout(const void* from, detail::Layout from_layout, void* to, detail::Layout to_layout, const Shape& nchw,
              int64_t element_bytes) {
  using namespace onednn;
  if (nchw.numel() == 0) return;
  if (element_bytes != sizeof(float))
    throw DTypeError(fmt::format("relayout: elements have {} bytes, expected {}: on the CPU only float32 has layouts",
                                 element_bytes, sizeof(float)));
  if (from_layout == to_layout) {
    std::memcpy(to, from, static_cast<size_t>(nchw.numel()) * sizeof(float));
    return;
  }
  const std::lock_guard lock(mutex());
  static LruCache<RelayoutKey, Executable, RelayoutHash> cache(cache_capacity);
  const Executable& reorder = cache.get({nchw, from_layout, to_layout, threads()}, [&] {
    return make_reorder(describe(nchw, from_layout), describe(nchw, to_layout));
  });
  if (!reorder) {  // layouts of the same order, e.g. of images of one pixel
    std::memcpy(to, from, static_cast<size_t>(nchw.numel()) * sizeof(float));
    return;
  }
  const Buffer scratch(reorder.scratch_bytes());
  reorder.run({{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, scratch.as<void>());
}

}  // namespace dnn::cpu
