"""What is learned of variants, answer by answer: a joint model of quality and length, served and simulated alike."""
