# SPDX-License-Identifier: Apache-2.0
"""The accuracy of the targets, beside the forerunner's and the theoretical bound."""
