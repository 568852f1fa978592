{{ publish_candidate() }}
