"""Arrays, texts and images in; arrays out; one atomic writer."""
