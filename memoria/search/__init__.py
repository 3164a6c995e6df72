"""Which of many short texts answer a question: words, word vectors, surroundings, ranking, index.

It knows texts, vectors and numbers, and nothing of stores, engrams or lifespans.
"""
