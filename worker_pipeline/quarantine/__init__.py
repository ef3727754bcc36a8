# SPDX-License-Identifier: Apache-2.0
"""Items that were taken out of the stream."""
