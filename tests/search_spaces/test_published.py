from __future__ import annotations

import pytest

from search_spaces import SpaceError, get_published, macs, parameters, published_names
from search_spaces.published import PrintedCount


@pytest.mark.parametrize("name", published_names())
def test_sizes_are_those_of_the_paper(name: str) -> None:
    published = get_published(name)
    network = published.space.lower(published.architecture)
    publication = published.publication
    differences = publication.differences
    if publication.macs is not None:
        assert publication.macs.holds(macs(network) + sum(part.macs for part in differences))
    if publication.parameters is not None:
        assert publication.parameters.holds(parameters(network) + sum(part.parameters for part in differences))


def test_a_printed_count_is_what_rounds_to_it() -> None:
    assert PrintedCount(300, 1e6).holds(300_499_999)
    assert not PrintedCount(300, 1e6).holds(300_500_001)
    assert PrintedCount(3.4, 1e6, 1).holds(3_449_000)
    assert not PrintedCount(3.4, 1e6, 1).holds(3_504_872)


def test_digits_can_be_cut_instead_of_rounded() -> None:
    assert PrintedCount(300, 1e6, cut=True).holds(300_774_272)
    assert PrintedCount(3.4, 1e6, 1, cut=True).holds(3_470_760)
    assert not PrintedCount(300, 1e6, cut=True).holds(299_999_999)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SpaceError, match="no published network 'lenet'; there are"):
        get_published("lenet")
