"""From a request to loaded networks, prices, searches and workers; consent."""
