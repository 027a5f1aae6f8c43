"""What each chapter trains: one module a chapter, its arms with each profile's budget beside them."""
