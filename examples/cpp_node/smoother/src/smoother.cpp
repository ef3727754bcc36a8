// SPDX-License-Identifier: Apache-2.0
// A plain node between two stages: it subscribes to the output of one and publishes to the input of
// the other.

#include <memory>
#include <utility>

#include <rclcpp/rclcpp.hpp>
#include <sensor_msgs/msg/range.hpp>

using sensor_msgs::msg::Range;

class Smoother : public rclcpp::Node
{
public:
  Smoother()
  : Node("smoother", "/airside")  // the pipeline's namespace, so that its names need no prefix
  {
    // Reliable, with room for a burst: what does not fit is lost, and nothing counts it.
    publisher_ = create_publisher<Range>("report/input", rclcpp::QoS(1000));
    subscription_ = create_subscription<Range>(
      "altimeter/output", rclcpp::QoS(rclcpp::KeepAll()),
      [this](Range::UniquePtr reading) {smooth(std::move(reading));});
  }

private:
  void smooth(Range::UniquePtr reading)
  {
    average_ = is_first_ ? reading->range : 0.9f * average_ + 0.1f * reading->range;
    is_first_ = false;
    reading->range = average_;
    // The header is left as it is: the pipeline identifies an item by its stamp.
    publisher_->publish(std::move(reading));
  }

  rclcpp::Publisher<Range>::SharedPtr publisher_;
  rclcpp::Subscription<Range>::SharedPtr subscription_;
  float average_ = 0.0f;  // m
  bool is_first_ = true;
};

int main(int argc, char ** argv)
{
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<Smoother>());
  rclcpp::shutdown();
  return 0;
}
