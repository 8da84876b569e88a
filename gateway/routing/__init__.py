"""From a validated request to an answer: candidates, the decision, the attempts, the ending."""
