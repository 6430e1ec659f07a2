// Expecting an error with its exact text.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <typeinfo>

#include "dnn/error.h"

// The statement must throw exactly that type with exactly that text.
//   EXPECT_ERROR(relu({}), dnn::ArgumentError, "relu: x is undefined, expected a tensor");
#define EXPECT_ERROR(statement, type, text) \
  EXPECT_TRUE((::dnn::test::throws<type>([&] { static_cast<void>(statement); }, #type, (text)))) << "from " #statement

namespace dnn::test {

template <class Expected, class Action>
::testing::AssertionResult throws(Action&& action, const char* type, const std::string& text) {
  try {
    action();
  } catch (const std::exception& error) {
    if (typeid(error) != typeid(Expected))
      return ::testing::AssertionFailure() << "expected " << type << ", got another type saying:\n  " << error.what();
    if (error.what() != text)
      return ::testing::AssertionFailure() << "the text is\n  " << error.what() << "\nexpected\n  " << text;
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << "nothing was thrown, expected " << type << ":\n  " << text;
}

}  // namespace dnn::test
