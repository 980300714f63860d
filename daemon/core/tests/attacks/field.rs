//! Linear algebra over a prime field: what follows from known sums by adding and subtracting.
//!
//! The prime is 2³¹−1. A combination of sums has coefficients of a few bits, so that what is independent over the
//! rationals is so here, but for a chance that no test meets.

const PRIME: u64 = (1 << 31) - 1;

fn inverse(number: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, number % PRIME, PRIME - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent >>= 1;
    }
    result
}

/// A matrix of few, small numbers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matrix(Vec<Vec<u64>>);

impl Matrix {
    pub(crate) fn new(rows: impl IntoIterator<Item = Vec<i64>>) -> Self {
        let reduced = |row: Vec<i64>| row.into_iter().map(|n| n.rem_euclid(PRIME as i64) as u64).collect();
        Self(rows.into_iter().map(reduced).collect())
    }

    /// Brings the first `columns` columns into reduced echelon form; returns for each pivot its column.
    fn reduce(&mut self, columns: usize) -> Vec<usize> {
        let mut pivots = Vec::new();
        for column in 0..columns {
            let done = pivots.len();
            let Some(row) = (done..self.0.len()).find(|row| self.0[*row][column] != 0) else { continue };
            self.0.swap(done, row);
            let by = inverse(self.0[done][column]);
            self.0[done].iter_mut().for_each(|number| *number = *number * by % PRIME);
            let pivot = self.0[done].clone();
            for (place, row) in self.0.iter_mut().enumerate() {
                if place != done && row[column] != 0 {
                    let times = PRIME - row[column];
                    row.iter_mut().zip(&pivot).for_each(|(own, other)| *own = (*own + times * other) % PRIME);
                }
            }
            pivots.push(column);
        }
        pivots
    }

    /// Returns the value of a combination of unknowns that the rows determine; each row ends with its sum.
    ///
    /// The value is a count of less than the prime, so that it comes out as it is.
    pub(crate) fn solve(mut self, wanted: &[i64]) -> Option<u64> {
        let columns = wanted.len();
        let pivots = self.reduce(columns);
        let mut left: Vec<u64> = wanted.iter().map(|n| n.rem_euclid(PRIME as i64) as u64).collect();
        left.push(0);
        for (row, column) in self.0.iter().zip(pivots) {
            let times = PRIME - left[column];
            left.iter_mut().zip(row).for_each(|(own, other)| *own = (*own + times * other) % PRIME);
        }
        let value = (PRIME - left.pop()?) % PRIME;
        left.iter().all(|number| *number == 0).then_some(value)
    }

    /// Returns a basis of all weights of the rows under which every column comes to zero.
    pub(crate) fn left_kernel(&self) -> Vec<Vec<u64>> {
        let (rows, columns) = (self.0.len(), self.0.first().map_or(0, Vec::len));
        let with_unit = |(place, row): (usize, &Vec<u64>)| {
            let mut row = row.clone();
            row.extend((0..rows).map(|other| u64::from(other == place)));
            row
        };
        let mut wide = Self(self.0.iter().enumerate().map(with_unit).collect());
        let rank = wide.reduce(columns).len();
        wide.0[rank..].iter().map(|row| row[columns..].to_vec()).collect()
    }
}

/// Tells whether rows are combinations of other rows.
pub(crate) fn spans(rows: &[Vec<u64>], others: &[Vec<u64>]) -> bool {
    let rank = |rows: Vec<Vec<u64>>| {
        let columns = rows.first().map_or(0, Vec::len);
        Matrix(rows).reduce(columns).len()
    };
    rank(rows.to_vec()) == rank([rows, others].concat())
}

#[test]
fn what_follows_is_found() {
    // x + y = 5, y + z = 7: x - z = -2 follows, and x does not.
    let rows = || Matrix::new([vec![1, 1, 0, 5], vec![0, 1, 1, 7]]);
    assert_eq!(rows().solve(&[-1, 0, 1]), Some(2));
    assert_eq!(rows().solve(&[1, 2, 1]), Some(12));
    assert_eq!(rows().solve(&[1, 0, 0]), None);
    let kernel = Matrix::new([vec![1, 1], vec![2, 2], vec![0, 1]]).left_kernel();
    assert_eq!(kernel.len(), 1);
    assert!(spans(&kernel, &kernel) && !spans(&[], &kernel));
    assert!(!spans(&kernel, &[vec![1, 0, 0]]));
}
