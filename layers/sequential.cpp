// Sequential: which neighbours run as one, and the convolution with a batch norm folded in.
#include "dnn/layers/sequential.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <typeinfo>

#include "dnn/autograd.h"
#include "dnn/layers/activation.h"
#include "dnn/layers/conv.h"
#include "dnn/layers/linear.h"
#include "dnn/layers/norm.h"
#include "dnn/layers/pool.h"
#include "dnn/ops/binary.h"

namespace dnn {

namespace {

// Of exactly that class: a deriving one may compute something else.
template <class L>
L* exactly(Layer& layer) {
  return typeid(layer) == typeid(L) ? static_cast<L*>(&layer) : nullptr;
}

// What folding a batch norm into a convolution reads.
std::array<Tensor, 6> sources_of(const Conv2d& conv, const BatchNorm2d& norm) {
  return {conv.weight, conv.bias, norm.weight, norm.bias, norm.running_mean, norm.running_var};
}

uint64_t version_of(const Tensor& t) { return t.defined() ? t.version() : 0; }

bool is_up_to_date(const detail::Link& link, const std::array<Tensor, 6>& sources) {
  return std::equal(sources.begin(), sources.end(), link.folded_from.begin(), link.folded_from.end(),
                    [](const Tensor& now, const detail::Seen& then) {
                      return now.is_same(then.tensor) && version_of(now) == then.version;
                    });
}

// norm(conv(x)) = scale * (w * x + b - mean) + shift, so the folded weight is scale * w, by output channel.
void fold(detail::Link& link, const BatchNorm2d& norm) {
  const std::array<Tensor, 6> sources = sources_of(*link.conv, norm);
  if (is_up_to_date(link, sources)) return;
  const Tensor& weight = link.conv->weight;
  const Tensor& bias = link.conv->bias;
  const Tensor scale = norm.weight / sqrt(norm.running_var + norm.eps());
  const Tensor centre = bias.defined() ? bias - norm.running_mean : -norm.running_mean;
  link.folded_weight = (weight * scale.reshape({-1, 1, 1, 1})).to(weight.dtype());
  link.folded_bias = (centre * scale + norm.bias).to(weight.dtype());
  link.folded_from.clear();
  for (const Tensor& source : sources) link.folded_from.push_back({source, version_of(source)});
}

}  // namespace

Sequential::Sequential(const Sequential& other) : Layer(other) {
  for (const detail::Link& link : other.links_) {
    std::unique_ptr<Module> copy = link.layer->clone_unique();
    push_back(std::unique_ptr<Layer>(static_cast<Layer*>(copy.release())));
    links_.back().name = link.name;
  }
}

void Sequential::push_back(std::unique_ptr<Layer> layer) {
  if (layer == nullptr) throw ArgumentError("Sequential: the layer is a null pointer, expected a layer");
  detail::Link link;
  link.fusable = dynamic_cast<FusableLayer*>(layer.get());
  link.conv = exactly<Conv2d>(*layer);
  link.linear = exactly<Linear>(*layer);
  link.norm = exactly<BatchNorm2d>(*layer);
  link.max_pool = exactly<MaxPool2d>(*layer);
  link.is_relu = exactly<ReLU>(*layer) != nullptr;
  const GELU* const gelu = exactly<GELU>(*layer);
  link.is_gelu_tanh = gelu != nullptr && gelu->form() == GeluForm::tanh;
  link.name = std::to_string(links_.size());
  link.layer = std::move(layer);
  links_.push_back(std::move(link));
}

void Sequential::check_name(const std::string& name) const {
  const bool known = std::ranges::any_of(links_, [&](const detail::Link& link) { return link.name == name; });
  if (name.empty() || name.find('.') != std::string::npos || known)
    throw ArgumentError(fmt::format("Sequential: the name is '{}', expected a new one without dots", name));
}

const Layer& Sequential::operator[](int64_t index) const {
  if (index < -size() || index >= size())
    throw IndexError(fmt::format("Sequential: the index is {}, expected {} <= index < {}", index, -size(), size()));
  return *links_[static_cast<size_t>(index < 0 ? index + size() : index)].layer;
}

Layer& Sequential::operator[](int64_t index) { return const_cast<Layer&>(std::as_const(*this)[index]); }

Layer& Sequential::at(const std::string& name) {
  for (const detail::Link& link : links_)
    if (link.name == name) return *link.layer;
  throw ArgumentError(fmt::format("Sequential: there is no layer '{}'", name));
}

detail::Members Sequential::members() {
  detail::Members list;
  for (const detail::Link& link : links_) list.push_back({link.name, link.layer.get()});
  return list;
}

Tensor Sequential::forward(Tensor x) {
  const bool may_fold = !grad_enabled();
  for (size_t i = 0; i < links_.size();) {
    detail::Link& link = links_[i++];
    if (link.fusable == nullptr || link.layer->has_forward_hooks()) {
      x = (*link.layer)(std::move(x));
      continue;
    }
    const auto unseen = [&](size_t next) { return next < links_.size() && !links_[next].layer->has_forward_hooks(); };
    BatchNorm2d* norm = nullptr;
    if (may_fold && link.conv != nullptr && unseen(i) && links_[i].norm != nullptr && !links_[i].norm->training() &&
        links_[i].norm->weight.size(0) == link.conv->weight.size(0))
      norm = links_[i++].norm;
    Epilogue epilogue;
    epilogue.relu = unseen(i) && links_[i].is_relu;
    epilogue.gelu_tanh = link.linear != nullptr && unseen(i) && links_[i].is_gelu_tanh;
    if (epilogue.relu || epilogue.gelu_tanh) ++i;
    if (link.conv != nullptr && norm == nullptr && unseen(i) && links_[i].max_pool != nullptr) {
      const Conv2d& conv = *link.conv;
      const Conv2dOptions operation = conv.operation(epilogue);
      const Pool2dOptions& pool = links_[i].max_pool->options();
      if (fuses_conv2d_max_pool2d(x, conv.weight, conv.bias, operation, pool)) {
        x = link.layer->run(x, [&] { return conv2d_max_pool2d(x, conv.weight, conv.bias, operation, pool); });
        ++i;
        continue;
      }
    }
    x = norm != nullptr ? forward_folded(link, *norm, x, epilogue) : (*link.fusable)(std::move(x), epilogue);
  }
  return x;
}

Tensor Sequential::forward_folded(detail::Link& link, BatchNorm2d& norm, const Tensor& x, const Epilogue& epilogue) {
  return link.layer->run(x, [&] {
    fold(link, norm);
    return link.conv->convolve(x, link.folded_weight, link.folded_bias, epilogue);
  });
}

}  // namespace dnn
